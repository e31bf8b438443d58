"""Plans that were refused: by whom, why, and a picture of what would have happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from agent.core.messages import Percept, Plan, Ruling, Task, Verdict
from agent.record.metrics import lost
from agent.report.plots import BLUE, GREY, INK, RED, STYLE, forbid, plane, svg
from agent.report.series import Array, Disc, GuardReader, Life, Limit, PathReader, array


@dataclass(frozen=True, slots=True)
class Moment:
    """A plan that was refused: when, by whom, why, and a picture of it."""

    time_s: float
    who: str
    facts: tuple[tuple[str, str], ...]
    drawing: str


def straight(
    life: Life,
    limits: Sequence[Limit],
    units: Mapping[str, str],
    paths: PathReader | None,
    scene: Sequence[Disc] = (),
) -> Moment | None:
    """Return where the straight way to the goal breaks the guardrails most; None: nowhere.

    The straight way is put to the sealed guardrails at every fifth tick: the same question that
    planner and gate ask of every plan.
    """
    ask = getattr(paths, "straight_plan", None)
    if ask is None or not isinstance(paths, GuardReader):
        return None
    worst, found = 0.0, None
    for index in range(0, len(life.ticks), 5):
        said = life.ticks[index].messages
        if Percept not in said or Plan not in said or Task not in said:
            continue
        start = said[Percept].latent[0]
        actions = ask(start, said[Task].goal[0])
        beyond = float(paths.guard_path(start, actions).max())
        if beyond > worst:
            worst, found = beyond, (index, actions)
    if found is None:
        return None
    index, actions = found
    return moment(life, index, limits, units, paths, scene, actions)


def moment(
    life: Life,
    tick: int,
    limits: Sequence[Limit],
    units: Mapping[str, str],
    paths: PathReader | None,
    scene: Sequence[Disc] = (),
    instead: Tensor | None = None,
) -> Moment:
    """Return the story of a refused plan at index `tick` of the episode.

    `instead` [H A] is a plan to tell of in place of the candidate that tempted the planner.
    """
    said = dict(life.ticks[tick].messages)
    if instead is not None:
        said[Plan] = replace(said[Plan], temptation=instead[None])
    percept, plan, verdict = said.get(Percept), said.get(Plan), said.get(Verdict)
    gate = verdict is not None and life.ruling[tick] != int(Ruling.ALLOWED) and instead is None
    who = "the gate" if gate else "the planner"
    if instead is not None:
        who = "the guardrails, asked about the straight way,"
    facts = _ruled(verdict, limits, units) if verdict is not None and gate else []
    tempting: Array | None = None
    if percept is not None and plan is not None and isinstance(paths, GuardReader):
        tempting = array(paths.guard_path(percept.latent[0], plan.temptation[0]))
        facts += [] if gate else _broken(tempting, limits, units)
    elif life.tempted[tick] > 0:
        facts.append(("violation of the shortcut", f"{life.tempted[tick]:.3g}, summed over steps"))
    if plan is not None:
        facts.append(("energy of the chosen plan", f"{float(plan.energy[0]):.3g}"))
        names = {"guardrails": [{"name": limit.name} for limit in limits], "terms": [*life.terms]}
        facts.append(("runner-up", lost(plan, 0, names) or "none that differs"))
    return Moment(
        time_s=float(life.time_s[tick]),
        who=who,
        facts=tuple(facts),
        drawing=_drawn(life, tick, said, limits, units, paths, None if gate else tempting, scene),
    )


def _drawn(
    life: Life,
    tick: int,
    said: Mapping[type, Any],
    limits: Sequence[Limit],
    units: Mapping[str, str],
    paths: PathReader | None,
    tempting: Array | None,
    scene: Sequence[Disc],
) -> str:
    percept, plan = said.get(Percept), said.get(Plan)
    unit = units.get(life.position or "", "")
    allowed = life.ruling[tick] == int(Ruling.ALLOWED)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.3), layout="constrained")
        above, along = figure.subplots(1, 2, width_ratios=(1.25, 1))
        if life.path is not None:
            here = life.path[tick : tick + 1]
            plane(above, life, unit, scene, tick + 1)
            if paths is not None and percept is not None and plan is not None:
                start = percept.latent[0]
                chosen = "chosen plan" if allowed else "plan the gate refused"
                shown = [
                    (plan.actions[0], BLUE, chosen),
                    (plan.temptation[0], RED, "shortcut that was refused"),
                ]
                if plan.rival is not None and bool(torch.isfinite(plan.rival.energy[0])):
                    shown.insert(0, (plan.rival.actions[0], GREY, "runner-up"))
                for actions, colour, label in shown:
                    path = np.concatenate([here, array(paths.imagine_path(start, actions))])
                    above.plot(*path.T, "o-", color=colour, ms=2.5, lw=1.6, label=label)
            above.plot(*here[0], "o", color="white", mec=INK, mew=1.6, ms=7, label="here")
        else:
            above.set_axis_off()
            above.text(0, 0.5, "the goal of this run is no position to draw")
        if plan is not None and len(limits):
            _along(along, array(plan.guardrails[0]), tempting, limits, units)
        else:
            along.set_axis_off()
        figure.legend(*above.get_legend_handles_labels(), ncols=2, loc="outside lower left")
        return svg(figure)


def _along(
    ax: Axes,
    chosen: Array,
    tempting: Array | None,
    limits: Sequence[Limit],
    units: Mapping[str, str],
) -> None:
    """Draw the guardrail that decides, over the steps of the chosen [R H] and the refused plan."""
    decisive = chosen if tempting is None else tempting
    first = np.where((decisive > 0).any(axis=1), (decisive > 0).argmax(axis=1), decisive.shape[1])
    r = int(first.argmin()) if first.min() < decisive.shape[1] else int(chosen.max(axis=1).argmax())
    limit, ahead = limits[r], np.arange(1, chosen.shape[1] + 1)
    ax.plot(ahead, limit.quantity_at(chosen[r]), color=BLUE, lw=1.6)
    if tempting is not None:
        ax.plot(ahead, limit.quantity_at(tempting[r]), color=RED, lw=1.6)
    edge = float(limit.quantity_at(np.zeros(1))[0])
    ax.axhline(edge, color=RED, lw=1.2, ls="--")
    forbid(ax, edge, limit.side > 0 or limit.quantity is None)
    name = limit.quantity or "value (> 0 violates)"
    unit = units.get(limit.quantity or "", limit.unit)
    ax.set(xlabel="steps ahead (ticks)", ylabel=f"{name} ({unit}), margin included")
    ax.set_title(limit.name)


def _broken(
    values: Array, limits: Sequence[Limit], units: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Say which guardrails a plan of values [R H] would break, by how much and when."""
    facts = []
    for limit, row in zip(limits, values, strict=False):
        if row.max() <= 0:
            continue
        step, unit = int(row.argmax()), units.get(limit.quantity or "", limit.unit)
        margin = limit.margin(step + 1)
        facts.append(("guardrail", f"{limit.name}: {limit.words}"))
        if limit.quantity is not None:
            reached = float(limit.quantity_at(row)[step])
            reached -= limit.side * (margin or 0.0)
            said = "margin included, " if margin is None else ""
            words = f"{reached:.3g} {unit}, {said}{step + 1} ticks ahead"
            facts.append((f"predicted {limit.quantity}", words))
        if margin is not None:
            facts.append(("calibrated margin", f"{margin:.3g} {unit}"))
        facts.append(("beyond the limit by", f"{row[step]:.3g} {unit}"))
    return facts


def _ruled(
    verdict: Verdict, limits: Sequence[Limit], units: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Say what the gate ruled, and why."""
    which = int(verdict.guardrail[0])
    limit = limits[which] if 0 <= which < len(limits) else None
    unit = "" if limit is None else units.get(limit.quantity or "", limit.unit)
    facts = [("ruling", Ruling(int(verdict.ruling[0])).name.lower())]
    facts.append(("reason", verdict.reasons[0] if verdict.reasons else "none given"))
    if limit is not None:
        facts.append(("refused by", f"{limit.name}: {limit.words}"))
        facts.append(("beyond the limit by", f"{float(verdict.predicted[0]):.3g} {unit}"))
        facts.append(("calibrated margin", f"{float(verdict.margin[0]):.3g} {unit}"))
    return facts
