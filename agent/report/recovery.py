"""One picture of an agent whose world changes, and changes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import AMBER, BLUE, GREY, STYLE, svg


@dataclass(frozen=True, slots=True)
class Block:
    """Some episodes in a row: which (`first` to `last`), and a figure with its 95 % interval."""

    first: int
    last: int
    value: float
    low: float
    high: float


def picture(
    reached: Mapping[str, Sequence[Block]],
    error: Mapping[str, Sequence[Block]],
    changes: Mapping[int, str],
) -> str:
    """Return an SVG of goals reached and forecast error over episodes, by kind of agent.

    `changes` says what the world is like from an episode (counted from 0) on.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for ax, curves in ((left, reached), (right, error)):
            for (name, blocks), colour in zip(curves.items(), (BLUE, AMBER), strict=False):
                middle = [(b.first + b.last) / 2 for b in blocks]
                value = [b.value for b in blocks]
                ax.fill_between(
                    middle, [b.low for b in blocks], [b.high for b in blocks],
                    color=colour, alpha=0.15, lw=0,
                )  # fmt: skip
                ax.plot(middle, value, marker="o", ms=3.5, color=colour, label=name)
            for episode, text in changes.items():
                ax.axvline(episode - 0.5, color=GREY, lw=1, ls="--")
                ax.text(episode - 0.3, 1.0, text, transform=ax.get_xaxis_transform(),
                        va="bottom", fontsize=8)  # fmt: skip
            ax.set(xlabel="episode of a life", ylim=(0, 1.02 if ax is left else None))
            ax.legend(loc="lower left" if ax is left else "upper right")
        left.set_ylabel("goals reached")
        right.set_ylabel("rms error of a forecast")
        return svg(figure)
