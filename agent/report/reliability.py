"""One picture of how far ahead a world model can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agent.report.plots import AMBER, BLUE, GREY, STYLE, svg


def picture(
    relative: Mapping[str, Sequence[float]],
    levels: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    by_tick: Mapping[str, Sequence[float]],
) -> str:
    """Return an SVG with three panels.

    `relative`: per sensor, the rms error by tick ahead, over the sensor's deviation. `curves`:
    achieved coverage at each of `levels`, by kind of interval; `by_tick` their calibration error.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.1), layout="constrained")
        errors, reliability, calibration = figure.subplots(1, 3)
        for name, values in relative.items():
            errors.plot(range(1, len(values) + 1), values, marker=".", label=name)
        errors.set(title="error by horizon", xlabel="ticks ahead", ylabel="rms error / deviation")
        errors.set_yscale("log")
        reliability.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
        for (name, values), colour in zip(curves.items(), (BLUE, AMBER), strict=False):
            reliability.plot(levels, values, marker=".", color=colour, label=name)
        reliability.set(title="reliability", xlabel="promised coverage", ylabel="achieved")
        for (name, values), colour in zip(by_tick.items(), (BLUE, AMBER), strict=False):
            calibration.plot(range(1, len(values) + 1), values, color=colour, label=name)
        calibration.set(title="calibration error by horizon", xlabel="ticks ahead", ylim=(0, None))
        for ax in (errors, calibration):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in (errors, reliability, calibration):
            ax.legend()
        return svg(figure)
