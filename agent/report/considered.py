"""What the actor considered at a few moments: the fan of candidates around the chosen plan."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from agent.core.messages import Percept, Plan
from agent.report.plots import BLUE, RED, STYLE, plane, svg
from agent.report.series import Array, Disc, Life, PathReader, array

LEFT = (1.0, 0.6, 0.25)
"""Shares of the way that were left when the thoughts that are drawn were thought."""


def considered(life: Life, unit: str, paths: PathReader | None, scene: Sequence[Disc] = ()) -> str:
    """Draw sampled candidates of three ticks and the plan chosen among them, from above.

    Empty where the goal is no position, or the log knows of no candidates.
    """
    told = [
        index
        for index, tick in enumerate(life.ticks)
        if Percept in tick.messages
        and Plan in tick.messages
        and tick.messages[Plan].fan is not None
    ]
    if not told or paths is None or life.path is None:
        return ""
    away = np.linalg.norm(life.path - life.goal, axis=1)
    near = [np.flatnonzero(away[told] <= share * away[told[0]]) for share in LEFT]
    moments = sorted({told[int(first[0])] for first in near if len(first)}) or told[:1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.5), layout="constrained")
        axes = figure.subplots(1, len(moments), squeeze=False)[0]
        for ax, index in zip(axes, moments, strict=True):
            plane(ax, life, unit, scene, index + 1)
            _fan(ax, life, index, paths)
            ax.set_title(f"{life.time_s[index]:.2f} s")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=3, loc="outside lower left")
        return svg(figure)


def _fan(ax: Axes, life: Life, index: int, paths: PathReader) -> None:
    """Draw candidates and the plan of the tick at `index`; what breaks a guardrail is red."""
    said = life.ticks[index].messages
    plan, start = said[Plan], said[Percept].latent[0]
    assert life.path is not None
    here = life.path[index : index + 1]

    def path(actions: Tensor) -> Array:
        return np.concatenate([here, array(paths.imagine_path(start, actions))])

    broken = plan.fan.violation[0] > 0
    for those, colour, label in ((broken, RED, "breaks a guardrail"), (~broken, BLUE, "allowed")):
        for number, actions in enumerate(plan.fan.actions[0][those]):
            name = None if number else f"considered: {label}"
            ax.plot(*path(actions).T, color=colour, lw=0.8, alpha=0.35, label=name)
    ax.plot(*path(plan.actions[0]).T, "o-", color=BLUE, ms=2.5, lw=1.8, label="chosen plan")
