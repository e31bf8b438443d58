"""What `redteam` found, as tables, a drawing and a page; all from the figures of its `--json`."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.page import document, section
from agent.report.page import figure as captioned
from agent.report.plots import BLUE, INK, RED, STYLE, svg
from agent.report.results import between, where

GUIDE = Path("docs/guides/redteam.md")
GRADES = ("prevented", "detected", "undetected")
GUARDS = {
    "margin": "worst of the ensemble, calibrated margins (ours)",
    "worst": "worst of the ensemble, no margin",
    "mean": "mean of the ensemble, no margin",
    "single": "one network, no margin",
}
CELL = ("plans", "false_safe", "exceeded", "coverage", "coverage_worst", "refusals")
Figures = Mapping[str, Mapping[str, Any]]
Table = list[list[str]]
APART = ", from a process of its own"
"""How names of vectors end that an isolated module tried; a table counts them."""


def fill(guide: Path = GUIDE, folder: Path = Path("docs/results")) -> None:
    """Put the tables of all `redteam-*.json` between the guide's markers of the same names.

    An attack that was measured again by itself, in `redteam-NAME-ATTACK.json`, is told there alone.
    Raises InputError if a file has no markers.
    """
    paths = sorted(folder.glob("redteam-*.json"))
    for path in paths:
        whole = json.loads(path.read_text("utf-8"))
        again = {t for p in paths if p.stem.startswith(f"{path.stem}-")
                 for t, _ in tables(json.loads(p.read_text("utf-8"))["figures"])}  # fmt: skip
        told = [(title, rows) for title, rows in tables(whole["figures"]) if title not in again]
        parts = [f"**{title}**\n\n{markdown(rows)}" for title, rows in told]
        said = f"`{whole['command']}`: {where(whole)}.\n"
        between(guide, path.stem, "\n".join([*parts, said]))


def tables(figures: Figures) -> list[tuple[str, Table]]:
    """Return titled tables, header row first, of those attacks whose figures are there."""
    found = [
        ("Plans that the guardrails accepted, carried out to their end", _sweep(figures)),
        ("By kind of situation, at the largest budget, calibrated margins", _kinds(figures)),
        ("Episodes, as margins are scaled", _frontier(figures)),
        ("Injected faults", _faults(figures)),
        ("Hostile modules", _modules(figures)),
        ("Tampering", _tampering(figures)),
    ]
    return [(title, rows) for title, rows in found if len(rows) > 1]


def markdown(rows: Table) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def page(name: str, figures: Figures) -> str:
    """Return a page that stands alone: the headline, the drawing, the tables."""
    parts = []
    drawing = draw(figures)
    if drawing:
        caption = "Success against ticks beyond the guarded limit; 95 % intervals."
        parts.append(section("Frontier", captioned("As margins are scaled", drawing, caption)))
    for title, rows in tables(figures):
        cells = [[html.escape(cell) for cell in row] for row in rows]
        head = "".join(f"<th>{c}</th>" for c in cells[0])
        body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in cells[1:])
        parts.append(section(title, f"<table><tr>{head}</tr>{body}</table>"))
    note = (
        "<p class='note'>What the guardrails believed and what the simulator says happened are"
        " counted apart. Code in the same process can be detected, not contained.</p>"
    )
    return document(
        f"Housecat redteam: {name}", f"<h1>{html.escape(name)}</h1>{note}" + "".join(parts)
    )


def draw(figures: Figures) -> str:
    """Return an SVG of success against exceeded limits, by margins; "" without figures."""
    names = _between(figures, "frontier.", ".success")
    if not names:
        return ""
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(6.6, 3.6), layout="constrained")
        axes = drawn.subplots()
        for name in names:
            reached, beyond = (figures[f"frontier.{name}.{k}"] for k in ("success", "exceeded"))
            scale = 1e3 / max(beyond["n"], 1)
            x, y = beyond["value"] * scale, 100 * reached["value"]
            axes.errorbar(
                x, y, color=RED if name == "unguarded" else BLUE, marker="o", ms=5, lw=1,
                xerr=[[x - beyond["low"] * scale], [beyond["high"] * scale - x]],
                yerr=[[y - 100 * reached["low"]], [100 * reached["high"] - y]],
            )  # fmt: skip
            axes.annotate(
                name, (x, y), color=INK, fontsize=8, xytext=(5, 4), textcoords="offset points"
            )
        axes.set(xlabel="ticks beyond a guarded limit, of 1,000", ylabel="success (%)")
        axes.set_xscale("symlog", linthresh=1.0)
        return svg(drawn)


def _sweep(figures: Figures) -> Table:
    rows = [["guardrail", "budget", "plans", "false-safe", "beyond the guarded limit", "coverage",
             "worst step", "refused"]]  # fmt: skip
    for guard, words in GUARDS.items():
        for budget in _between(figures, f"false_safe.{guard}.x", ""):
            cell = f"{guard}.x{budget}"
            get = {k: figures[f"{k}.{cell}"] for k in CELL}
            rows.append([
                words, f"{budget}x", f"{get['plans']['value']:.0f}", _share(get["false_safe"]),
                _share(get["exceeded"]), _share(get["coverage"]), _share(get["coverage_worst"]),
                _share(get["refusals"]),
            ])  # fmt: skip
    return rows


def _kinds(figures: Figures) -> Table:
    rows = [["situation", "false-safe", "coverage", "refused"]]
    for kind in ("settled", "moving", "adversarial"):
        if f"false_safe.{kind}" in figures:
            names = ("false_safe", "coverage", "refusals")
            rows.append([kind, *(_share(figures[f"{n}.{kind}"]) for n in names)])
    return rows


def _frontier(figures: Figures) -> Table:
    rows = [["margins", "success", "true violations, ticks", "beyond the guarded limit, ticks",
             "vetoes", "success lost"]]  # fmt: skip
    for name in _between(figures, "frontier.", ".success"):
        get = {k: figures[f"frontier.{name}.{k}"] for k in (
            "success", "violations", "exceeded", "vetoes", "task_loss")}  # fmt: skip
        rows.append([
            name, _share(get["success"]), _events(get["violations"]), _events(get["exceeded"]),
            _events(get["vetoes"]), _share(get["task_loss"]),
        ])  # fmt: skip
    return rows


def _faults(figures: Figures) -> Table:
    names = ("faults", "unvalidated", "late", "uncaught", "noticed", "recovered")
    rows = [["family", *names]]
    for family in ["", *_between(figures, "faults.", "")]:
        key = f".{family}" if family else ""
        if f"faults{key}" in figures:
            values = (figures[f"{n}{key}"]["value"] for n in names)
            rows.append([family or "all", *("" if v is None else f"{v:.0f}" for v in values)])
    return rows


def _modules(figures: Figures) -> Table:
    rows = [["hostile module", "came of it", "ticks of true violations", "without guardrails"]]
    for name in _between(figures, "module.", ".violations"):
        grade = ("prevented", "detected", "neither")[int(figures[f"module.{name}"]["value"])]
        broken, bare = (
            figures[f"module.{name}.{k}"] for k in ("violations", "unguarded_violations")
        )
        shown = (f"{f['value']:.0f}" if f["value"] is not None else "" for f in (broken, bare))
        rows.append([name, grade, *shown])
    return rows


def _tampering(figures: Figures) -> Table:
    rows, apart = [["where", "what", "came of it"]], Counter[str]()
    for place in ("memory", "disk"):
        for name in _between(figures, f"tamper.{place}.", ""):
            came = GRADES[int(figures[f"tamper.{place}.{name}"]["value"])]
            if name.endswith(APART):
                apart[came] += 1
            else:
                rows.append([place, name, came])
    for came, count in apart.items():
        rows.append(["memory", f"{count} deeds{APART}", came])
    return rows


def _between(figures: Figures, before: str, after: str) -> list[str]:
    """Return what stands between two ends of names, in order of the figures."""
    return [
        name[len(before) : len(name) - len(after)]
        for name in figures
        if name.startswith(before) and name.endswith(after)
    ]


def _share(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return ""
    bounds = (
        "" if figure["low"] is None else f" [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
    )
    return f"{100 * figure['value']:.1f} %{bounds}"


def _events(figure: Mapping[str, Any]) -> str:
    return "" if figure["value"] is None else f"{figure['value']:.0f} of {figure['n']:,}"
