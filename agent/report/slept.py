"""One picture of what sleep does: every kind of it beside the waking life that it followed."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import CYCLE, STYLE, svg

Told = tuple[float, float, float]


def picture(panels: Mapping[str, Mapping[str, Mapping[str, Told]]]) -> str:
    """Return an SVG with a panel per figure: value and 95 % interval by kind, by changed world."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * len(panels), 3.2), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (title, worlds) in zip(axes, panels.items(), strict=True):
            for index, (world, kinds) in enumerate(worlds.items()):
                shift = 0.15 * (index - (len(worlds) - 1) / 2)
                values = [value for value, _, _ in kinds.values()]
                bounds = [[v - low for v, low, _ in kinds.values()],
                          [high - v for v, _, high in kinds.values()]]  # fmt: skip
                rows = [row + shift for row in range(len(kinds))]
                ax.errorbar(
                    values, rows, xerr=bounds, fmt="o", ms=4, lw=1.2, color=CYCLE[index],
                    label=world,
                )  # fmt: skip
            names = [name.replace("_", " ") for name in next(iter(worlds.values()))]
            ax.set_yticks(range(len(names)), names)
            ax.invert_yaxis()
            ax.set(title=title)
            ax.set_xlim(left=0)
        axes[0].legend(loc="lower left")
        return svg(figure)
