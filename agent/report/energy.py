"""One picture of an energy surface: which next sensors fit a present, and which do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from agent.report.plots import AMBER, STYLE, svg


def picture(surfaces: Sequence[Any]) -> str:
    """Return an SVG with a panel per `agent.train.compatible.Surface`, on one logarithmic scale.

    Dark is low: what fits. The star is what came, the circle what was there before.
    """
    least = min(float(s.energy.min()) for s in surfaces)
    most = max(float(s.energy.max()) for s in surfaces)
    levels = np.geomspace(max(least, 1e-9), max(most, 1e-8), 25)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(surfaces), 3.0), layout="constrained")
        panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
        for ax, s in zip(panels, surfaces, strict=True):
            height = s.energy.clamp(min=float(levels[0])).numpy()
            drawn = ax.contourf(
                s.first.numpy(), s.second.numpy(), height, levels, cmap="viridis",
                norm=mpl.colors.LogNorm(),
            )  # fmt: skip
            ax.plot(*s.before, "o", mfc="none", color="white", ms=6)
            ax.plot(*s.true, "*", color=AMBER, ms=9)
            ax.set(title=s.name, xlabel=f"first ({s.unit})", ylabel=f"second ({s.unit})")
            ax.grid(visible=False)
        figure.colorbar(drawn, ax=panels, label="energy", format="%.0e")
        return svg(figure)
