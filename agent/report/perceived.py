"""One picture of what a camera saw and what of it a latent kept."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure
from torch import Tensor

from agent.report.plots import BLUE, GREY, STYLE, svg

DOTS = 800


def picture(frames: Tensor, truth: Mapping[str, Tensor], read: Mapping[str, Tensor]) -> str:
    """Return an SVG: frames [n D S S], oldest first, and what was read against what was true.

    `truth` and `read` [m] are by label, with its unit; the first few hundred are drawn.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 2.2 + 2.6), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=(1, 1.3))
        above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        shown = frames.flatten(0, 1)
        for index, (ax, frame) in enumerate(zip(above.subplots(1, len(shown)), shown, strict=True)):
            ax.imshow(frame.numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ahead = index % frames.shape[1] - frames.shape[1] + 1
            ax.set_title(f"tick {ahead}" if ahead else "now")
        for ax, (label, values) in zip(below.subplots(1, len(truth)), truth.items(), strict=True):
            ends = [float(values.min()), float(values.max())]
            ax.plot(ends, ends, color=GREY, lw=1, ls="--")
            ax.plot(values[:DOTS], read[label][:DOTS], ".", ms=2, color=BLUE, rasterized=True)
            ax.set(xlabel=f"true {label}", ylabel="read")
        return svg(figure)
