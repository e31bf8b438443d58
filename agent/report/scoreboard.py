"""The scoreboard's page: its tables and curves, rendered from what `scoreboard` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.report.plots import CYCLE, GREY, STYLE, svg
from agent.report.results import between, where

GUIDE, FILE = Path("docs/guides/scoreboard.md"), "scoreboard.json"
NAMES = {"random": "random", "oracle": "true simulator", "ours": "ours", "mode1": "ours, Mode-1"}
OURS, REFERENCES = ("ours", "mode1"), ("random", "oracle")
COLOURS = dict(zip(("ours", "ours, Mode-1", "SAC"), CYCLE, strict=False))
PANELS = 4
"""Panels side by side in the picture."""

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
    """Return the scores, and how often a limit was broken, as two tables in Markdown.

    A score stands by itself; without a true simulator to compare with, what was reached does, in
    brackets. A cell is empty where nothing was measured.
    """
    worlds = list(dict.fromkeys(n.partition(".")[0] for n in figures if not n.startswith("all.")))
    found = {n.split(".")[1] for n in figures if not n.startswith("all.")}
    who = [*NAMES, *sorted(found - set(NAMES), key=_minutes)]
    head = ["", *(NAMES.get(w) or f"SAC, {_minutes(w):g} min" for w in who)]
    lines = [_row(head), "|---" * len(head) + "|"]
    for world in worlds:
        lines.append(_row([world, *(_cell(figures, world, w) for w in who)]))
    whole = ["" if w in REFERENCES else _total(figures, w) for w in who]
    means = ["" if w in REFERENCES else _mean(figures, w) for w in who]
    lines += [_row(["**all**, interquartile mean", *whole]), _row(["**all**, mean", *means])]
    lines += [
        "",
        "Ticks in contact and ticks too fast, of 100 (one can be both, and counts twice):",
        "",
    ]
    lines += [_row(head), "|---" * len(head) + "|"]
    for world in worlds:
        broken = [figures.get(f"{world}.{w}.broken") for w in who]
        if any(broken):
            shares = ("" if b is None else f"{100 * b['value']:.3g}" for b in broken)
            lines.append(_row([world, *shares]))
    return "\n".join(lines) + "\n"


def draw(figures: Figures) -> str:
    """Return an SVG, a panel a world: what was reached after how many minutes of training.

    Dashed is the true simulator; dotted is whose training nobody timed. Where there is no score,
    the panel shows what was reached.
    """
    told = [n for n, f in figures.items() if n.count(".") == 1 and f["value"] is not None]
    told = [n for n in told if n.partition(".")[2] not in REFERENCES]
    worlds = list(dict.fromkeys(n.partition(".")[0] for n in told))
    across = min(max(len(worlds), 1), PANELS)
    down = -(-max(len(worlds), 1) // across)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * across + 0.4, 2.3 * down + 0.4), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, world in zip(axes, worlds, strict=False):
            _panel(ax, figures, world, [n for n in told if n.startswith(f"{world}.")])
        for ax in axes[len(worlds) :]:
            ax.set_axis_off()
        shown: dict[str, Artist] = {}
        for ax in axes:
            lines, kinds = ax.get_legend_handles_labels()
            shown = dict(zip(kinds, lines, strict=True)) | shown
        if shown:
            handles = [shown[kind] for kind in COLOURS if kind in shown]
            figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
        return svg(figure)


def _panel(ax: Axes, figures: Figures, world: str, names: list[str]) -> None:
    """Draw one world: a line of each kind of contestant over its minutes, with 95 % intervals."""
    scored = f"{world}.oracle.score" in figures
    lines: dict[str, list[tuple[float, float, float, float]]] = {}
    for name in names:
        who = name.partition(".")[2]
        found = figures[f"{name}.score" if scored else name]
        value, low, high = (
            float(found["value"] if found[bound] is None else found[bound])
            * (100 if found["unit"] == "share" else 1)
            for bound in ("value", "low", "high")
        )
        kind, spent = NAMES.get(who, "SAC"), figures.get(f"{name}.trained_s")
        if spent is None:
            ax.axhline(value, color=COLOURS[kind], lw=1.2, ls=":", label=kind)
        else:
            point = (
                float(spent["value"]) / 60,
                value,
                max(0.0, value - low),
                max(0.0, high - value),
            )
            lines.setdefault(kind, []).append(point)
    for kind, points in lines.items():
        minutes, values, *off = zip(*sorted(points), strict=True)
        style: Any = {"fmt": "o-", "ms": 4, "capsize": 2, "color": COLOURS[kind]}
        ax.errorbar(minutes, values, yerr=off, label=kind, **style)
    if scored:
        ax.axhline(100.0, color=GREY, lw=1, ls="--")
    paid = any(figures[name]["unit"] == "return" for name in names)
    ylabel = "score" if scored else "return" if paid else "goals reached, %"
    ax.set(title=world, xlabel="minutes of training", ylabel=ylabel)
    latest = max((point[0] for points in lines.values() for point in points), default=1.0)
    ax.set_xlim(0.0, 1.1 * latest)
    if not paid or scored:
        ax.set_ylim(bottom=min(-5.0, ax.get_ylim()[0]), top=max(110.0, ax.get_ylim()[1]))


def _minutes(who: str) -> float:
    """Return after how long a contestant that learns was measured: `sac0_5` after half a minute."""
    return float(who.removeprefix("sac").replace("_", "."))


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(figures: Figures, world: str, who: str) -> str:
    found = figures.get(f"{world}.{who}")
    if found is None or found["value"] is None:
        without = (figures.get(f"{world}.ours") or {"value": 0.0})["value"] is None
        return "not trained" if who in OURS and without else ""
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
    return f"{_score(found)}, {_worlds(figures, who)}"


def _mean(figures: Figures, who: str) -> str:
    found = figures.get(f"all.{who}.mean")
    return "" if found is None else f"{found['value']:.0f}, {_worlds(figures, who)}"


def _worlds(figures: Figures, who: str) -> str:
    count = int(figures[f"all.{who}.worlds"]["value"])
    return f"{count} world{'s' if count > 1 else ''}"


__all__ = ["draw", "fill", "render", "table"]
