"""One flat row per tick and agent: what a spreadsheet, a plot or the terminal panel asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from agent.core.loop import Tick
from agent.core.messages import (
    Appraisal,
    Directive,
    Forecast,
    Observation,
    Percept,
    Plan,
    Recollection,
    Ruling,
    Verdict,
)

Row = dict[str, Any]


def rows(episode: int, tick: Tick, header: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a tick, one per agent in lock-step.

    `header` is the run's: its `terms` and `guardrails` give the names. Columns: energies
    (`energy`, `anticipation`, `term.NAME`), `surprise`, `uncertainty`, `nearest` (distance to the
    nearest memory, latent units), `spread` and `z_spread` (of the forecast), the `mode` asked for
    and the one the plan was made in (`thought`), the plan's `plan_energy`, `plan_ms`,
    `evaluations`, `iterations`, `violation`, `tempted` (violation of the refused plan),
    `rival_energy` of its runner-up and `lost`, why that one lost, the verdict's
    `ruling`, `guardrail`, `predicted`, `margin`, `reason`, and `ms.MODULE`. A column whose message
    is missing, because a module failed, is None.
    """
    said = tick.messages
    verdict = said.get(Verdict)
    agents = 1 if verdict is None else len(verdict.ruling)
    return [_row(i, episode, tick, header) for i in range(agents)]


def _row(i: int, episode: int, tick: Tick, header: Mapping[str, Any]) -> Row:
    said = tick.messages
    seen, percept, past = said.get(Observation), said.get(Percept), said.get(Recollection)
    appraisal, directive = said.get(Appraisal), said.get(Directive)
    plan, forecast, verdict = said.get(Plan), said.get(Forecast), said.get(Verdict)
    row: Row = {
        "episode": episode,
        "tick": tick.index,
        "agent": i,
        "time_s": seen and _at(seen.time_s, i),
        "energy": appraisal and _at(appraisal.energy, i),
        "anticipation": appraisal and _at(appraisal.anticipation, i),
        "surprise": percept and _at(percept.surprise, i),
        "uncertainty": percept and _at(percept.uncertainty, i),
        "nearest": past and _nearest(past, i),
        "spread": forecast and _at(forecast.spread, i),
        "z_spread": forecast and _at(forecast.z_spread, i),
        "mode": directive and int(directive.mode[i]),
        "horizon": directive and directive.horizon,
        "thought": plan and int(plan.mode[i]),
        "plan_energy": plan and _at(plan.energy, i),
        "plan_ms": plan and plan.elapsed_ms,
        "evaluations": plan and plan.evaluations,
        "iterations": plan and plan.iterations,
        "violation": plan and _at(plan.violation, i),
        "tempted": plan and _at(plan.temptation_violation, i),
        "rival_energy": plan and plan.rival and _at(plan.rival.energy, i),
        "lost": plan and lost(plan, i, header),
        **_ruled(verdict, i, header),
    }
    for k, name in enumerate(header.get("terms", ())):
        row[f"term.{name}"] = appraisal and _at(appraisal.terms[:, k], i)
    row |= {f"ms.{name}": ms for name, ms in tick.elapsed_ms.items()}
    return row


def lost(plan: Plan, i: int, header: Mapping[str, Any]) -> str | None:
    """Say in a few words why the runner-up of agent `i` lost; None if there was none.

    By a guardrail it would have broken, or by its energy, and then which term it paid most for.
    """
    rival = plan.rival
    if rival is None or not math.isfinite(_at(rival.energy, i)):
        return None
    names = [g["name"] for g in header.get("guardrails", ())]
    blamed = int(rival.guardrail[i])
    if blamed >= 0:
        name = names[blamed] if blamed < len(names) else f"guardrail {blamed}"
        return f"breaks {name}, by {_at(rival.violation, i):.3g} summed over steps"
    more = rival.terms[i] - plan.terms[i].sum(dim=-1)
    words = f"energy {_at(rival.energy, i):.3g}, {_at(rival.energy - plan.energy, i):.2g} more"
    terms = list(header.get("terms", ()))
    if len(terms) != len(more) or not len(more) or not float(more.max()) > 0:
        return words
    return f"{words}, most of it {terms[int(more.argmax())]}"


def _ruled(verdict: Verdict | None, i: int, header: Mapping[str, Any]) -> Row:
    names = [g["name"] for g in header.get("guardrails", ())]
    blamed = -1 if verdict is None else int(verdict.guardrail[i])
    reasons = () if verdict is None else verdict.reasons
    return {
        "ruling": verdict and Ruling(int(verdict.ruling[i])).name.lower(),
        "guardrail": names[blamed] if 0 <= blamed < len(names) else None,
        "predicted": verdict and _at(verdict.predicted, i),
        "margin": verdict and _at(verdict.margin, i),
        "reason": reasons[i] if i < len(reasons) else "",
    }


def _nearest(past: Recollection, i: int) -> float | None:
    known = past.distances[i][past.known[i]]
    return float(known.min()) if len(known) else None


def _at(values: Tensor, i: int) -> float:
    return float(values[i])
