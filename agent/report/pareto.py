"""What planners reach against what they take, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import BLUE, GREY, INK, STYLE, svg


@dataclass(frozen=True, slots=True)
class Point:
    """A planner: milliseconds a plan, the share of goals it reached, and its 95 % interval."""

    name: str
    ms: float
    reached: float
    low: float
    high: float


def front(points: Sequence[Point]) -> list[Point]:
    """Return those that no other beats in time without losing goals, quickest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.ms, -p.reached)):
        if not kept or point.reached > kept[-1].reached:
            kept.append(point)
    return kept


def draw(points: Sequence[Point]) -> str:
    """Return an SVG: goals reached by milliseconds a plan, on a logarithmic axis."""
    best = front(points)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.6), layout="constrained")
        axes = figure.subplots()
        axes.step([p.ms for p in best], [100 * p.reached for p in best], where="post", color=BLUE)
        for point in points:
            colour = BLUE if point in best else GREY
            low, high = 100 * (point.reached - point.low), 100 * (point.high - point.reached)
            axes.errorbar(
                point.ms, 100 * point.reached, yerr=[[max(low, 0.0)], [max(high, 0.0)]],
                color=colour, marker="o", ms=5, lw=1,
            )  # fmt: skip
            axes.annotate(
                point.name, (point.ms, 100 * point.high), color=INK, fontsize=8, rotation=60,
                xytext=(-2, 3), textcoords="offset points",
            )  # fmt: skip
        axes.set(xscale="log", xlabel="milliseconds a plan (median)", ylabel="goals reached (%)")
        return svg(figure)
