"""The scoreboard's page: its tables and curves, rendered from what `scoreboard` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import CYCLE, GREY, STYLE, svg
from agent.report.results import between, where

GUIDE, FILE = Path("docs/guides/scoreboard.md"), "scoreboard.json"
NAMES = {"random": "random", "oracle": "true simulator", "ours": "ours", "mode1": "ours, Mode-1"}
OURS, REFERENCES = ("ours", "mode1"), ("random", "oracle")

Figures = Mapping[str, Mapping[str, Any]]


def fill(guide: Path = GUIDE, folder: Path = Path("docs/results")) -> None:
    """Put the tables of `scoreboard.json` in `folder` between the guide's markers.

    Raises InputError if they are not there.
    """
    between(guide, "scoreboard", render(folder / FILE))


def render(path: Path) -> str:
    """Return a file's tables in Markdown, the command and the machine; without it, what to type."""
    if not path.is_file():
        return "No figures yet: `make scoreboard`.\n"
    whole = json.loads(path.read_text("utf-8"))
    seeds, figures = ", ".join(map(str, whole["seeds"])), whole["figures"]
    count = next((f["value"] for n, f in figures.items() if n.endswith(".random.episodes")), 0)
    told = f"training seeds {seeds}, {count:.0f} episodes each"
    return f"{table(figures)}\n`{whole['command']}`: {where(whole)}; {told}.\n"


def table(figures: Figures) -> str:
    """Return the scores, and the share of ticks that broke a limit, as two tables in Markdown.

    A score stands by itself; without a true simulator to compare with, what was reached does, in
    brackets.
    """
    worlds = list(dict.fromkeys(n.partition(".")[0] for n in figures if not n.startswith("all.")))
    found = {n.split(".")[1] for n in figures if not n.startswith("all.")}
    who = [*NAMES, *sorted(found - set(NAMES), key=_minutes)]
    head = ["", *(NAMES.get(w) or f"SAC, {_minutes(w):g} min" for w in who)]
    lines = [_row(head), "|---" * len(head) + "|"]
    for world in worlds:
        lines.append(_row([world, *(_cell(figures, world, w) for w in who)]))
    whole = ["" if w in REFERENCES else _total(figures, w) for w in who]
    lines += [_row(["**all**, interquartile mean", *whole]), "", "Ticks that broke a limit:", ""]
    lines += [_row(head), "|---" * len(head) + "|"]
    for world in worlds:
        broken = [figures.get(f"{world}.{w}.broken") for w in who]
        if any(broken):
            shares = ("" if b is None else f"{100 * b['value']:.2g} %" for b in broken)
            lines.append(_row([world, *shares]))
    return "\n".join(lines) + "\n"


def draw(figures: Figures) -> str:
    """Return an SVG: by world, what was reached after how many minutes of training."""
    marks: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, found in figures.items():
        world, _, who = name.partition(".")
        minutes = figures.get(f"{name}.trained_s")
        if minutes is not None and found["value"] is not None:
            shown = figures.get(f"{name}.score", found)["value"]
            kind = NAMES.get(who, "SAC")
            points = marks.setdefault(world, {}).setdefault(kind, [])
            points.append((float(minutes["value"]) / 60, float(shown)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * max(len(marks), 1), 3.0), layout="constrained")
        axes = figure.subplots(1, max(len(marks), 1), squeeze=False)[0]
        for ax, (world, kinds) in zip(axes, marks.items(), strict=False):
            for (kind, points), colour in zip(kinds.items(), CYCLE, strict=False):
                ax.plot(*zip(*sorted(points), strict=True), "o-", color=colour, ms=4, label=kind)
            if f"{world}.oracle.score" in figures:
                ax.axhline(100.0, color=GREY, lw=1, ls="--")
            ax.set(title=world, xlabel="minutes of training")
        axes[0].legend(loc="lower right")
        return svg(figure)


def _minutes(who: str) -> float:
    """Return after how long a contestant that learns was measured: `sac0_5` after half a minute."""
    return float(who.removeprefix("sac").replace("_", "."))


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(figures: Figures, world: str, who: str) -> str:
    found = figures.get(f"{world}.{who}")
    if found is None or found["value"] is None:
        return "not trained" if who in OURS else ""
    score = figures.get(f"{world}.{who}.score")
    if score is None or who in REFERENCES:
        return f"({_raw(found)})"
    return _score(score)


def _raw(found: Mapping[str, Any]) -> str:
    """Return a share in percent, a return as it is."""
    if found["unit"] == "share":
        return f"{100 * found['value']:.0f} %"
    return f"{found['value']:.4g}"


def _score(found: Mapping[str, Any]) -> str:
    bounds = "" if found["low"] is None else f" [{found['low']:.0f}, {found['high']:.0f}]"
    return f"{found['value']:.0f}{bounds}, n = {found['n']}"


def _total(figures: Figures, who: str) -> str:
    found = figures.get(f"all.{who}.score")
    if found is None or found["value"] is None:
        return ""
    worlds = figures[f"all.{who}.worlds"]["value"]
    return f"{_score(found)}, {worlds:.0f} worlds"


__all__ = ["draw", "fill", "render", "table"]
