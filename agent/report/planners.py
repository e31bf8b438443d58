"""What `bench planner` and `bench pareto` wrote, as the planning guide's tables, and as bars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import AMBER, BLUE, GREY, INK, STYLE, svg
from agent.report.results import between, where

GUIDE = Path("docs/guides/planning.md")
SAME_WORK = {
    "ms": "ms a plan, median",
    "ms_p95": "95th percentile",
    "over_floor": "over the floor",
    "busy_p95_over_quiet": "95th percentile beside a busy process, over quiet",
    "energy": "energy of the plan",
    "largest_command": "largest command (limit 1)",
}
REACHED = {
    "success": "goals reached",
    "plan_ms": "ms a plan, median",
    "energy": "energy a tick, imagined",
    "true_violations": "ticks in contact or too fast",
    "vetoes": "vetoes",
}


def fill(guide: Path = GUIDE, folder: Path = Path("docs/results")) -> None:
    """Put the tables of `planner.json` and of all `pareto-*.json` between the guide's markers.

    Raises InputError if a table has no markers.
    """
    same = folder / "planner.json"
    if same.is_file():
        between(guide, "planner", render(same, SAME_WORK))
    for path in sorted(folder.glob("pareto-*.json")):
        between(guide, path.stem, render(path, REACHED))


def render(path: Path, columns: Mapping[str, str]) -> str:
    """Return one file's table in Markdown: a row for everyone who has the first column's figure."""
    whole = json.loads(path.read_text("utf-8"))
    figures: Mapping[str, Mapping[str, Any]] = whole["figures"]
    first = next(iter(columns))
    names = [k.removesuffix(f".{first}") for k in figures if k.endswith(f".{first}")]
    lines = [
        "| planner | " + " | ".join(columns.values()) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = [_cell(column, figures.get(f"{name}.{column}")) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"`{whole['command']}`: {where(whole)}; n = {figures[f'{names[0]}.{first}']['n']}.",
    ]
    return "\n".join(lines) + "\n"


def draw(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an SVG: how many times the floor's time every planner took, quickest first."""
    end = ".over_floor"
    found = {k.removesuffix(end): v for k, v in figures.items() if k.endswith(end)}
    names = sorted(found, key=lambda name: -float(found[name]["value"]))
    values = [float(found[name]["value"]) for name in names]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.32 * len(names) + 1.0), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(names, values, color=[_colour(name) for name in names])
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.axvline(1.0, color=INK, lw=1.0, ls="--")
        axes.set(xlabel="time a plan, over that of the matrix products alone")
        return svg(figure)


def _colour(name: str) -> str:
    """Return grey for the floor, amber for other libraries' planners, blue for ours."""
    return GREY if name.startswith("floor") else AMBER if " " in name else BLUE


def _cell(column: str, found: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval, where it has one."""
    if found is None or found["value"] is None:
        return ""
    value, low, high = (found[k] for k in ("value", "low", "high"))
    if column == "success":
        return f"{100 * value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
    if low is None:
        return f"{value:.3g}"
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"
