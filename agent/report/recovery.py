"""One picture of an agent whose world changes, and changes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import CYCLE, GREY, STYLE, svg


@dataclass(frozen=True, slots=True)
class Block:
    """Some episodes in a row: which (`first` to `last`), and a figure with its 95 % interval."""

    first: int
    last: int
    value: float
    low: float
    high: float


def picture(panels: Mapping[str, Mapping[str, Sequence[Block]]], changes: Mapping[int, str]) -> str:
    """Return an SVG with a panel per figure, over the episodes of a life, by kind of agent.

    `changes` says what the world is like from an episode (counted from 0) on.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(panels), 3.2), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (title, curves) in zip(axes, panels.items(), strict=True):
            for (name, blocks), colour in zip(curves.items(), CYCLE, strict=False):
                middle = [(b.first + b.last) / 2 for b in blocks]
                ax.fill_between(
                    middle, [b.low for b in blocks], [b.high for b in blocks],
                    color=colour, alpha=0.15, lw=0,
                )  # fmt: skip
                ax.plot(
                    middle, [b.value for b in blocks], marker="o", ms=3.5, color=colour, label=name
                )
            for episode, text in changes.items():
                ax.axvline(episode - 0.5, color=GREY, lw=1, ls="--")
                ax.text(
                    episode - 0.4, 0.02, text, transform=ax.get_xaxis_transform(),
                    rotation=90, va="bottom", fontsize=7, color=GREY,
                )  # fmt: skip
            ax.set(title=title, xlabel="episode of a life")
            ax.set_ylim(bottom=0)
        axes[0].legend(loc="lower right")
        return svg(figure)
