"""One picture of the futures that are imagined before a fork, and of what came."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import AMBER, BLUE, INK, STYLE, svg
from agent.report.series import Array

SHOWN = 6
"""Forks drawn."""


def picture(fans: Mapping[str, tuple[Array, Array]]) -> str:
    """Return an SVG with a panel per model, seen from above.

    `fans`: by name, imagined paths [F n H 2] and true ones [n H 2], in metres from the fork.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.9), layout="constrained")
        panels = figure.subplots(1, len(fans), sharex=True, sharey=True, squeeze=False)[0]
        for ax, (name, (imagined, true)) in zip(panels, fans.items(), strict=True):
            strong = min(0.8, max(0.2, 8 / len(imagined)))
            for row in range(min(SHOWN, len(true))):
                for future in imagined[:, row]:
                    ax.plot(*future.T, color=BLUE, lw=0.7, alpha=strong)
                ax.plot(*true[row].T, color=AMBER, lw=1.6)
            ax.plot([], [], color=BLUE, label="imagined before the fork")
            ax.plot([], [], color=AMBER, label="what came")
            ax.plot(0, 0, "o", color=INK, ms=4)
            ax.set(title=name, xlabel="forward (m)", aspect="equal")
        panels[0].set_ylabel("sideways (m)")
        panels[0].legend(loc="upper left")
        return svg(figure)
