"""The gate's eye on the levels above: what may be followed, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Plan, Ruling
from agent.core.objective import GuardedObjective
from agent.core.overseer import Overseer
from agent.core.protocols import Above, Site
from agent.core.spec import Channel, Layout
from tests.toys import ACTUATORS, Adding, Below, Free, Place, percept, plan, steps

LEAPS = Layout((Channel("leap", 2, "m", (-3.0, -3.0), (3.0, 3.0)),))


class Twice:
    """A level whose steps take two ticks, and which sees the world as the level below does."""

    ticks, horizon = 2, 3

    def abstract(self, latents: Tensor) -> Tensor:
        """Return the same."""
        return latents

    def pooled(self, latents: Tensor) -> Tensor:
        """Return the same."""
        return latents


def level() -> tuple[Above, Guardrails, GuardedObjective]:
    rails = Guardrails((Below(1.0, "wall"),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    site = Site(Layout(()), LEAPS, 10.0, 2, Layout(()), objective=objective)  # type: ignore[arg-type]
    return Above(site, Twice(), Place().read), rails, objective


def watching() -> Gate:
    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    return Gate(rails, objective, ACTUATORS, torch.zeros(2), above=[level()])


def under(*leaps: tuple[float, float]) -> Plan:
    """Return a harmless plan that follows one of these leaps."""
    return replace(plan(steps((0.1, 0.0))), above=plan(steps(*leaps)))


def said(gate: Gate, made: Plan) -> tuple[int, str]:
    verdict, action = gate.rule(percept((0.0, 0.0)), made)
    reason = verdict.reasons[0] if verdict.reasons else ""
    assert bool(torch.isfinite(action.command).all())
    return int(verdict.ruling[0]), reason


def test_a_plan_that_follows_a_safe_one_goes_out() -> None:
    assert said(watching(), under((0.5, 0.0), (0.3, 0.0))) == (Ruling.ALLOWED, "")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (under((0.5, 0.0), (0.6, 0.0)), "level 2: wall"),
        (plan(steps((0.1, 0.0))), "level 2 has no plan"),
        (under((float("nan"), 0.0)), "level 2: out of limits"),
        (under((-5.0, 0.0)), "level 2: out of limits"),
        (replace(plan(steps((0.1, 0.0))), above=plan(torch.zeros(1, 2, 3))), "level 2 plans"),
    ],
)
def test_a_harmless_plan_that_follows_a_bad_one_does_not(made: Plan, why: str) -> None:
    ruling, reason = said(watching(), made)
    assert ruling == Ruling.VETOED
    assert reason.startswith(why)


def test_a_plan_above_is_judged_once_and_not_followed_when_it_is_over() -> None:
    gate, made = watching(), under((0.5, 0.0))
    assert said(gate, made)[0] == Ruling.ALLOWED
    again = replace(plan(steps((0.2, 0.0))), above=made.above)
    assert said(gate, again)[0] == Ruling.ALLOWED
    assert said(gate, again) == (Ruling.VETOED, "level 2 follows a plan that is over; fallback")
    gate.reset()
    assert said(gate, made)[0] == Ruling.ALLOWED


def test_a_plan_at_a_level_that_nobody_watches_is_not_followed() -> None:
    made = under((0.5, 0.0))
    assert made.above is not None
    deeper = replace(made, above=replace(made.above, above=plan(steps((0.1, 0.0)))))
    assert said(watching(), deeper) == (
        Ruling.VETOED, "nobody judges what is planned above level 2; fallback"
    )  # fmt: skip


def test_tampering_with_a_level_above_breaks_the_seal() -> None:
    gate = watching()
    place, rails, _ = gate._above._levels[0]
    rails._terms[0].limit = 9.0  # type: ignore[attr-defined]
    ruling, reason = said(gate, under((0.5, 0.0)))
    assert ruling == Ruling.VETOED
    assert "seal of a level above" in reason
    assert place.level.ticks == 2


def test_without_levels_nothing_is_asked() -> None:
    nobody: Any = Overseer(())
    nobody.look(torch.zeros(1, 2))
    assert nobody.refusals(plan(steps((0.1, 0.0)))) == ()
    assert nobody.verify()
