"""What plans expected to be charged at their end, against what was charged when the time had come.

Source: LeCun (2022) sec. 3.1.2: the cost of an imagined outcome, and the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.core.loop import Tick
from agent.core.messages import Appraisal, Plan
from agent.report.plots import AMBER, BLUE, GREY, INK, STYLE, svg
from agent.report.series import Array, Life

CRITIC = "anticipation"
"""The column of the critic: it stands for what comes after the plan's end, so it is left out."""


def expected(plan: Plan, names: Sequence[str], agent: int = 0) -> Mapping[str, float]:
    """Return what a plan expects to be charged in its last tick, by term, weighted.

    There alone is an imagined state charged as a state of now is: what terms say of everything
    beyond the horizon stands at the last step. A bill's steps are shares of a mean over the
    horizon, hence the factor.
    """
    steps = plan.terms.shape[-1]
    end = plan.terms[agent, :, -1].tolist()
    return {n: steps * v for n, v in zip(names, end, strict=True) if n != CRITIC}


def came(appraisal: Appraisal, names: Sequence[str], agent: int = 0) -> Mapping[str, float]:
    """Return what the state of now is charged, by term, weighted; the critic left out."""
    now = appraisal.terms[agent].tolist()
    return {n: v for n, v in zip(names, now, strict=True) if n != CRITIC}


def foreseen(ticks: Sequence[Tick], names: Sequence[str]) -> Array:
    """Return what earlier plans expected of each tick, [T n]; NaN where none ended there."""
    table = np.full((len(ticks), len(_kept(names))), np.nan)
    for t, tick in enumerate(ticks):
        plan = tick.messages.get(Plan)
        if plan is None or plan.terms.shape[1] != len(names):
            continue
        due = t + plan.actions.shape[1]
        if due < len(ticks):
            table[due] = list(expected(plan, names).values())
    return table


def expectation(life: Life, names: Sequence[str]) -> str:
    """Draw expected and charged energy over time, and by term how far they lay apart.

    Empty where no plan's end was lived to see.
    """
    table, kept = foreseen(life.ticks, names), _kept(names)
    charged = np.stack([life.terms[n] for n in kept], axis=1) if kept and life.terms else table
    known = np.isfinite(table).all(axis=1) & np.isfinite(charged).all(axis=1)
    if not kept or known.sum() < 2:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
        left.plot(life.time_s, charged.sum(axis=1), color=INK, lw=1.6, label="charged")
        ahead = table.sum(axis=1)
        left.plot(life.time_s, ahead, color=BLUE, lw=1.2, ls="--", label="expected by the plan")
        left.fill_between(
            life.time_s, ahead, charged.sum(axis=1), where=known, color=AMBER, alpha=0.2, lw=0
        )
        left.set(xlabel="time (s)", ylabel="energy (lower is better)")
        left.legend(loc="best")
        miss = (charged - table)[known]
        low, middle, high = np.percentile(miss, (5, 50, 95), axis=0)
        rows = np.arange(len(kept))
        right.axvline(0.0, color=GREY, lw=1)
        right.hlines(rows, low, high, color=BLUE, lw=5, alpha=0.25, label="90 % of ticks")
        right.plot(middle, rows, "o", color=BLUE, ms=5, label="median")
        right.set(xlabel="charged − expected", yticks=rows, yticklabels=kept)
        right.set_ylim(len(kept) - 0.5, -0.5)
        _decades(right, float(np.abs(miss).max()))
        figure.legend(*right.get_legend_handles_labels(), ncols=2, loc="outside upper right")
        return svg(figure)


def _decades(ax: Axes, most: float) -> None:
    """Scale the x axis by decades on either side of 0, three of them up to `most`."""
    top = 10.0 ** np.ceil(np.log10(max(most, 1e-6)))
    steps = [top / 100, top / 10, top]
    ticks = [*(-s for s in reversed(steps)), 0.0, *steps]
    ax.set_xscale("symlog", linthresh=steps[0])
    ax.set_xlim(-1.2 * top, 1.2 * top)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def _kept(names: Sequence[str]) -> list[str]:
    return [n for n in names if n != CRITIC]


__all__ = ["came", "expectation", "expected", "foreseen"]
