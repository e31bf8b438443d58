"""One picture of violation of expectation: what was shown, and how surprised the agent was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from agent.report.plots import AMBER, BLUE, GREY, INK, RED, STYLE, svg
from agent.report.series import Array

BEFORE, AFTER = 6, 10
"""Ticks drawn around the trick."""

Box = tuple[str, float, float, float, float]
"""Something fixed: its name, left and lower edge, width and height (m)."""


class Pairs(Protocol):
    """Surprise in n matched clips by tick, and the first tick that shows each trick, [n]."""

    @property
    def shown(self) -> NDArray[np.int64]:
        """Return ticks [n]."""
        ...

    @property
    def possible(self) -> Array:
        """Return surprise [n T]."""
        ...

    @property
    def tricked(self) -> Array:
        """Return surprise [n T]."""
        ...


def picture(
    found: Mapping[str, Pairs],
    strips: Mapping[str, tuple[Any, Any, Any]],
    scene: Sequence[Box],
    limit: float,
) -> str:
    """Return an SVG with a column per kind: a possible clip, the tricked one, and all surprises.

    `strips` hold what truly happened in one pair, and its trick; `limit` is the alarm's threshold.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.7 * len(found), 5.6), layout="constrained")
        grid = figure.subplots(3, len(found), squeeze=False, sharey="row", height_ratios=(1, 1, 1))
        for column, (kind, seen) in zip(grid.T, found.items(), strict=True):
            possible, tricked, trick = strips[kind]
            _strip(column[0], possible, trick, scene, tricked=False)
            _strip(column[1], tricked, trick, scene, tricked=True)
            _curves(column[2], seen, limit)
            column[0].set_title(f"{kind}: possible")
            column[1].set_title("the same, tricked")
        grid[2, 0].set_ylabel("surprise")
        grid[2, 0].legend(loc="upper left", fontsize=6.5)
        return svg(figure)


def _strip(ax: Axes, life: Any, trick: Any, scene: Sequence[Box], tricked: bool) -> None:
    for name, x, z, width, height in scene:
        veil = name == "screen"
        colour, alpha = (BLUE, 0.15) if veil else (GREY, 0.5)
        ax.add_patch(Rectangle((x, z), width, height, color=colour, alpha=alpha, lw=0))
    last = min(trick.tick + AFTER, len(life.motion))
    for toy in range(life.motion.shape[1]):
        path, seen = life.motion[:last, toy, :2], life.seen[:last, toy]
        colour = (RED if tricked else INK) if toy == trick.toy else AMBER
        ax.scatter(
            path[seen, 0], path[seen, 1], s=np.linspace(2, 16, last)[seen], color=colour, lw=0
        )
        ax.scatter(
            path[~seen, 0],
            path[~seen, 1],
            s=5,
            facecolor="none",
            edgecolor=colour,
            lw=0.4,
            alpha=0.6,
        )
    if tricked and trick.kind == "colour":
        x, z = life.motion[trick.tick, trick.toy, :2]
        ax.scatter(x, z, s=60, marker="*", color=RED)
    ax.set(xlim=(-1.05, 1.05), ylim=(-0.1, 1.35), aspect="equal", xticks=[], yticks=[])
    ax.grid(visible=False)


def _curves(ax: Axes, seen: Pairs, limit: float) -> None:
    """Draw median and 90 % band of surprise [n T], clips aligned at the tick of their trick."""
    ticks = np.arange(-BEFORE, AFTER)
    at = seen.shown[:, None] + ticks
    inside = at < seen.possible.shape[1]
    rows = np.arange(len(at))[:, None]
    last = seen.possible.shape[1] - 1
    for values, colour, label in (
        (seen.possible, INK, "possible: median, 90 %"),
        (seen.tricked, RED, "tricked"),
    ):
        here = np.where(inside, values[rows, at.clip(0, last)], np.nan)
        low, middle, high = np.nanpercentile(here.clip(min=1e-3), (5, 50, 95), axis=0)
        ax.fill_between(ticks, low, high, color=colour, alpha=0.15, lw=0)
        ax.plot(ticks, middle, color=colour, lw=1.4, label=label)
    ax.axhline(limit, color=AMBER, lw=1, ls="--", label="alarm")
    ax.set(yscale="log", xlabel="ticks after the trick")
