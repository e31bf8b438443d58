"""Predictions against what came: of the next tick, and as far ahead as plans look."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.report.plots import AMBER, BLUE, INK, STYLE, plane, svg
from agent.report.series import Array, Disc, Life, PathReader, array


def foresight(
    life: Life,
    unit: str,
    rate_hz: float,
    paths: PathReader | None,
    scene: Sequence[Disc] = (),
) -> str:
    """Draw what plans imagined against what came: seen from above, and by steps ahead.

    In `unit` through `paths`, where the goal is a position; else in latent units.
    """
    if life.imagined.ndim != 3 or np.isfinite(life.imagined).all(axis=(1, 2)).sum() < 3:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.5), layout="constrained")
        if paths is None or life.path is None:
            right = figure.subplots()
            _by_step(right, life.imagined, life.latents, rate_hz)
            right.set_ylabel("distance to what came (latent units)")
            return svg(figure)
        left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
        imagined, read = _read(paths, life.imagined), _read(paths, life.latents)
        for t in range(0, len(imagined), max(1, round(rate_hz / 2))):
            path = np.concatenate([life.path[t : t + 1], imagined[t]])
            label = "imagined, every half second" if t == 0 else None
            left.plot(*path.T, color=BLUE, lw=0.9, alpha=0.7, label=label)
        left.plot(*read.T, color=AMBER, lw=1.2, ls="--", label="read out of the percepts")
        plane(left, life, unit, scene)
        left.legend(loc="best")
        _by_step(right, imagined, life.path, rate_hz)
        right.set_ylabel(f"distance to what came ({unit})")
        return svg(figure)


def surprise(life: Life) -> str:
    """Draw the error of each tick's forecast and the spread it was announced with."""
    if life.latents.ndim != 2 or life.forecasts.shape != life.latents.shape or len(life.time_s) < 2:
        return ""
    miss = np.linalg.norm(life.forecasts[:-1] - life.latents[1:], axis=-1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(life.time_s[1:], miss, color=INK, lw=1.2, label="distance to what came")
        left.plot(life.time_s[1:], life.spread[:-1], color=AMBER, lw=1.2, label="announced spread")
        if life.z_spread.size and np.nanmax(life.z_spread, initial=0.0) > 0:
            left.plot(life.time_s[1:], life.z_spread[:-1], color=BLUE, lw=1.2, label="spread of z")
        left.set(xlabel="time (s)", ylabel="latent units", ylim=(0, None))
        left.legend(loc="best")
        right.plot(life.time_s, life.surprise, color=BLUE, lw=1.2)
        right.set(xlabel="time (s)", ylabel="surprise", ylim=(0, None))
        return svg(figure)


def _by_step(ax: Axes, imagined: Array, truth: Array, rate_hz: float) -> None:
    """Draw the median and the 90 % band of |imagined [T H n] - truth [T n]| by steps ahead."""
    bands = []
    for h in range(min(imagined.shape[1], len(truth) - 1)):
        miss = np.linalg.norm(imagined[: len(truth) - 1 - h, h] - truth[1 + h :], axis=-1)
        miss = miss[np.isfinite(miss)]
        if len(miss):
            bands.append(((h + 1) / rate_hz, *np.percentile(miss, (5, 50, 95))))
    if bands:
        ahead, low, middle, high = np.array(bands).T
        ax.fill_between(ahead, low, high, color=BLUE, alpha=0.15, lw=0, label="90 % of moments")
        ax.plot(ahead, middle, "o-", color=BLUE, ms=3, lw=1.5, label="median")
        ax.set_ylim(bottom=0)
        ax.legend(loc="upper left")
    ax.set_xlabel("looking ahead (s)")


def _read(paths: PathReader, latents: Array) -> Array:
    """Return positions [... 2] of latents [... Z]; NaN stays NaN."""
    flat = torch.from_numpy(latents.reshape(-1, latents.shape[-1])).float()
    return array(paths.read_path(flat)).reshape(*latents.shape[:-1], 2)
