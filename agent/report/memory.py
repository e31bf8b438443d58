"""What retrieval takes and how much noise it stands, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.report.plots import GREY, STYLE, svg

Curve = Sequence[tuple[float, float]]


def picture(times: Mapping[str, Curve], exact: Mapping[str, Curve], noise: str) -> str:
    """Return an SVG with two panels: milliseconds, and the share retrieved, by what is stored.

    `times` and `exact` are curves of (number stored, value) by name; `noise` says what kind.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, curve in times.items():
            left.plot(*zip(*curve, strict=True), marker=".", label=name)
        left.axhline(1.0, color=GREY, lw=1, ls="--")
        left.set(title="one retrieval", xlabel="latents stored", ylabel="CPU milliseconds")
        left.set(xscale="log", yscale="log")
        for name, curve in exact.items():
            right.plot(*zip(*curve, strict=True), marker=".", label=name)
        right.set(title=f"retrieved through {noise}", xlabel="patterns stored", ylabel="share")
        right.set(xscale="log", ylim=(-0.03, 1.03))
        for axes in (left, right):
            axes.legend()
        return svg(figure)
