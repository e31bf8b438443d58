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

    ticks, horizon, pool, follow = 2, 3, 2, 1

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
    place, rails, *_ = gate._above._levels[0]
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


class Mean(Twice):
    """A level that sees the mean of the ticks that one of its steps takes."""

    def pooled(self, latents: Tensor) -> Tensor:
        """Return the mean, as the last of the ticks."""
        return latents.mean(dim=1, keepdim=True)


def walled(limit: float, seen_from: Any = None) -> tuple[Above, Guardrails, GuardedObjective]:
    place, _, _ = level()
    rails = Guardrails((Below(limit, f"wall {limit}"),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    return replace(place, level=seen_from or place.level), rails, objective


def leaping(*agents: list[tuple[float, float]]) -> Plan:
    """Return plans of several agents."""
    return plan(torch.tensor(agents))


def told(places: list[list[float]], made: Plan, *levels: Any) -> tuple[str, ...]:
    """Return what an overseer of these levels says, from where agents are."""
    overseer = Overseer(levels)
    overseer.look(torch.tensor(places))
    return overseer.refusals(made)


def test_every_agent_has_its_own_refusal() -> None:
    above = leaping(
        [(0.5, 0.0), (0.2, 0.0)],
        [(1.2, 0.0), (-0.9, 0.0)],  # beyond the wall at the first step alone
        [(0.5, 0.0), (0.9, 0.0)],  # at the last
        [(0.5, 3.5), (0.0, 0.0)],  # one number, in one step, out of limits
        [(-0.5, 0.0), (0.0, -3.5)],
    )
    below = replace(plan(torch.zeros(5, 1, 2)), above=above)
    limits = "level 2: out of limits"
    wall = "level 2: wall 1.0"
    assert told([[0.0, 0.0]] * 5, below, walled(1.0)) == ("", wall, wall, limits, limits)


def test_what_is_just_allowed_goes() -> None:
    edge = leaping([(3.0, -3.0)], [(-3.0, 3.0)])
    below = replace(plan(torch.zeros(2, 1, 2)), above=edge)
    assert told([[-2.0, 0.0], [0.0, 0.0]], below, walled(1.0)) == ()
    assert told([[-1.75, 0.0], [0.0, 0.0]], below, walled(1.0)) == ("level 2: wall 1.0", "")


class Endless(Below):
    """A wall that is broken without measure on its far side."""

    def value(self, rollout: Any) -> Tensor:
        """Return infinity beyond the wall."""
        found = super().value(rollout)
        return found.masked_fill(found > 0, torch.inf)


def test_no_measure_is_not_as_much() -> None:
    place, _, _ = level()
    rails = Guardrails((Endless(1.0, "abyss"),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    below = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.0, 0.0)]))
    assert told([[1.5, 0.0]], below, (place, rails, objective)) == ("level 2: abyss",)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_from_a_state_that_is_no_number_nothing_may_be_followed(bad: float) -> None:
    below = replace(plan(torch.zeros(2, 1, 2)), above=leaping([(0.1, 0.0)], [(0.1, 0.0)]))
    said = told([[0.0, bad], [0.0, 0.0]], below, walled(1.0))
    assert said == ("level 2: out of limits", "")


def test_every_level_is_asked_and_the_lower_speaks_first() -> None:
    two = replace(leaping([(0.6, 0.0)], [(0.4, 0.0)]), above=leaping([(0.1, 0.0)], [(0.9, 0.0)]))
    below = replace(plan(torch.zeros(2, 1, 2)), above=two)
    levels = walled(0.5), walled(0.8)
    assert told([[0.0, 0.0]] * 2, below, *levels) == ("level 2: wall 0.5", "level 3: wall 0.8")
    lacking = replace(below, above=replace(two, above=None))
    assert told([[0.0, 0.0]] * 2, lacking, *levels) == (
        "level 2: wall 0.5", "level 3 has no plan",
    )  # fmt: skip


def test_without_guardrails_above_only_limits_hold() -> None:
    place, _, _ = level()
    none = Guardrails((), Place())
    free = place, none, GuardedObjective(Adding(), Free(), none)  # type: ignore[arg-type]
    below = replace(plan(torch.zeros(2, 1, 2)), above=leaping([(2.9, 0.0)], [(3.1, 0.0)]))
    assert told([[0.0, 0.0]] * 2, below, free) == ("", "level 2: out of limits")


def test_every_level_is_under_its_seal() -> None:
    levels = walled(0.5), walled(0.8)
    overseer = Overseer(levels)
    assert overseer.verify()
    levels[1][1]._terms[0].limit = 9.0  # type: ignore[attr-defined]
    assert not overseer.verify()
    other = walled(0.5), walled(0.8)
    exchanged = Overseer(other)
    other[1][2]._guardrails = Guardrails((Below(9.0),), Place())
    assert not exchanged.verify()


def test_an_episode_begins_without_what_was_seen_in_the_last() -> None:
    overseer = Overseer([walled(1.0, Mean())])
    below = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.4, 0.0)]))
    overseer.look(torch.tensor([[-9.0, 0.0]]))
    overseer.reset()
    overseer.look(torch.tensor([[0.9, 0.0]]))
    assert overseer.refusals(below) == ("level 2: wall 1.0",)


def test_who_plans_cannot_say_afterwards_how_long_a_plan_lasts() -> None:
    place, rails, objective = level()
    overseer = Overseer([(place, rails, objective)])
    place.level.follow = 99
    made = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.4, 0.0)]))
    for said in ((), (), ("level 2 follows a plan that is over",)):
        overseer.look(torch.zeros(1, 2))
        assert overseer.refusals(made) == said


@pytest.mark.parametrize("follow", [1, 3])
def test_a_plan_lasts_as_many_ticks_as_the_steps_for_which_it_is_followed(follow: int) -> None:
    place, rails, objective = level()
    place.level.follow = follow
    overseer = Overseer([(place, rails, objective)])
    made = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.4, 0.0)]))
    for said in (*[()] * 2 * follow, ("level 2 follows a plan that is over",)):
        overseer.look(torch.zeros(1, 2))
        assert overseer.refusals(made) == said
