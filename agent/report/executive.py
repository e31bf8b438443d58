"""Executive control over an episode: which mode, what is attended to, which sub-goal.

Source: LeCun (2022) sec. 3, the configurator; sec. 3.1, Mode-1 and Mode-2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from agent.core.messages import Directive, Mode, Observation, Plan
from agent.report.plots import AMBER, BLUE, GREEN, GREY, STYLE, TEAL, step_s, svg
from agent.report.series import Array, Life
from agent.report.subgoals import stack

MODES = (
    (Mode.CARRIED, "goes on with the last plan", GREY),
    (Mode.REACTIVE, "Mode-1, reacts", AMBER),
    (Mode.DELIBERATE, "Mode-2, deliberates", BLUE),
)


def attention(weights: Tensor, names: Sequence[str]) -> str:
    """Say which sensors `weights` [S] attend to, in a few words."""
    shares = dict(zip(names, weights.tolist(), strict=True))
    if all(share == 1.0 for share in shares.values()):
        return "attends to everything"
    seen = [n if s == 1.0 else f"{n} {s:.2g}" for n, s in shares.items() if s != 0.0]
    missed = [n for n, s in shares.items() if s == 0.0]
    words = [f"attends to {', '.join(seen)}"] if seen else []
    return " · ".join([*words, *([f"ignores {', '.join(missed)}"] if missed else [])])


def executive(life: Life, header: Mapping[str, Any]) -> str:
    """Draw mode, attention by sensor and progress by sub-goal, tick by tick, on one time axis."""
    names = [n for n, _, _ in header.get("layouts", {}).get("sensors", ())]
    attended = _attended(life, names)
    goals, progress = _progress(life, header)
    heights = [1.0, float(len(attended)), *([float(len(goals))] if goals else [])]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.9 + 0.2 * sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
        rows: list[Axes] = axes[:, 0].tolist()
        _modes(rows[0], life)
        _strip(rows[1], life, attended, names, TEAL)
        if goals:
            _strip(rows[2], life, progress, goals, GREEN)
        rows[-1].set_xlabel("time (s)")
        figure.legend(*rows[0].get_legend_handles_labels(), ncols=3, loc="outside upper left")
        return svg(figure)


def _modes(ax: Axes, life: Life) -> None:
    """Draw what each tick's plan was made by."""
    modes = np.array(
        [int(t.messages[Plan].mode[0]) if Plan in t.messages else -1 for t in life.ticks]
    )
    tick = step_s(life)
    for mode, words, colour in MODES:
        spans = [(t, tick) for t in life.time_s[modes == mode]]
        if mode == Mode.CARRIED and not spans:
            continue
        label = f"{words} ({len(spans)} of {len(modes)} ticks)"
        ax.broken_barh(spans, (0.1, 0.8), color=colour, lw=0.4, label=label)
    ax.set(ylim=(0, 1), yticks=[0.5], yticklabels=["mode"])
    ax.grid(visible=False)


def _strip(ax: Axes, life: Life, shares: Array, names: Sequence[str], colour: str) -> None:
    """Draw shares [n T] from 0 (white) to 1 and above (full), a row each; grey where NaN."""
    shade = LinearSegmentedColormap.from_list("share", ["#ffffff", colour])
    ends = (life.time_s[0], life.time_s[-1] + step_s(life), len(names), 0)
    ax.set_facecolor("#cbd5e1")
    ax.imshow(
        shares, cmap=shade, vmin=0, vmax=1, extent=ends, aspect="auto", interpolation="nearest"
    )
    ax.set(yticks=np.arange(len(names)) + 0.5, yticklabels=names)
    ax.hlines(np.arange(1, len(names)), *ends[:2], color="white", lw=2)
    ax.grid(visible=False)


def _attended(life: Life, names: Sequence[str]) -> Array:
    """Return what attention each sensor got, [S T]; NaN where it showed nothing valid."""
    table = np.full((len(names), len(life.ticks)), np.nan)
    for t, tick in enumerate(life.ticks):
        asked, seen = tick.messages.get(Directive), tick.messages.get(Observation)
        if asked is not None and seen is not None:
            table[:, t] = np.where(seen.valid[0].numpy(), asked.attention[0].numpy(), np.nan)
    return table


def _progress(life: Life, header: Mapping[str, Any]) -> tuple[list[str], Array]:
    """Return the sub-goals there were, by first appearance, and their progress, [n T]."""
    lines = [{g.name: g.progress for g in stack(t.messages, header)} for t in life.ticks]
    names = list(dict.fromkeys(n for line in lines for n in line))
    table = np.array([[line.get(n, np.nan) for line in lines] for n in names], dtype=np.float64)
    return names, table


__all__ = ["attention", "executive"]
