"""The gate's eye on the levels above: each level, guardrail and agent by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agent.core.guardrails import Guardrails
from agent.core.messages import Rollout
from agent.core.objective import GuardedObjective
from agent.core.spec import Channel, Layout
from tests.toys import Adding, Below, Free, Place, plan
from tests.unit.core.test_overseer import leaping, level, told, walled


@pytest.mark.parametrize("broken", [0, 1])
def test_one_broken_guardrail_of_two_is_enough(broken: int) -> None:
    place, _, _ = level()
    limits = [0.5 if index == broken else 9.0 for index in range(2)]
    rails = Guardrails([Below(limit, f"wall {i}") for i, limit in enumerate(limits)], Place())
    watched = place, rails, GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    below = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.9, 0.0)]))
    assert told([[0.0, 0.0]], below, watched) == (f"level 2: wall {broken}",)


def test_a_level_that_agrees_does_not_speak_for_the_next() -> None:
    two = replace(leaping([(0.1, 0.0)], [(0.1, 0.0)]), above=leaping([(0.1, 0.0)], [(0.9, 0.0)]))
    below = replace(plan(torch.zeros(2, 1, 2)), above=two)
    levels = walled(0.5), walled(0.8)
    assert told([[0.0, 0.0]] * 2, below, *levels) == ("", "level 3: wall 0.8")


@pytest.mark.parametrize("number", [0, 1])
def test_one_number_that_is_none_is_a_state_that_is_none(number: int) -> None:
    place = [0.0, 0.0]
    place[number] = float("nan")
    below = replace(plan(torch.zeros(2, 1, 2)), above=leaping([(0.1, 0.0)], [(0.1, 0.0)]))
    assert told([place, [0.0, 0.0]], below, walled(1.0)) == ("level 2: out of limits", "")


@pytest.mark.parametrize(
    "actions", [torch.zeros(1, 0, 2), torch.zeros(1, 2, 3), torch.zeros(1, 2, 2).double()]
)
def test_a_plan_that_is_none_is_not_followed(actions: torch.Tensor) -> None:
    below = replace(plan(torch.zeros(1, 1, 2)), above=plan(actions))
    (said,) = told([[0.0, 0.0]], below, walled(1.0))
    assert said.startswith("level 2 plans")


def test_a_model_above_that_leaves_out_agents_is_not_trusted() -> None:
    class Lazy(Adding):
        def imagine(self, *given: Any, **more: Any) -> Rollout:
            made = super().imagine(*given, **more)
            return replace(made, latents=made.latents[:, :1], actions=made.actions[:1])

    place, rails, _ = walled(1.0)
    watched = place, rails, GuardedObjective(Lazy(), Free(), rails)  # type: ignore[arg-type]
    below = replace(plan(torch.zeros(2, 1, 2)), above=leaping([(0.1, 0.0)], [(1.9, 0.0)]))
    with pytest.raises(ValueError, match="expected values of"):
        told([[0.0, 0.0]] * 2, below, watched)


def test_who_has_strayed_may_come_back_but_not_stray_farther() -> None:
    starts = [[1.4, 0.0], [1.4, 0.0], [1.4, 0.0], [0.9, 0.0]]
    leaps = leaping(
        [(-0.3, 0.0), (-0.3, 0.0)],  # still beyond the wall after the first step, but nearer
        [(0.1, 0.0), (-0.6, 0.0)],  # farther at first, then inside: less in sum
        [(0.2, 0.0), (-0.1, 0.0)],
        [(0.2, 0.0), (-0.3, 0.0)],  # rest would be fine
    )
    below = replace(plan(torch.zeros(4, 1, 2)), above=leaps)
    wall = "level 2: wall 1.0"
    assert told(starts, below, walled(1.0)) == ("", "", wall, wall)
    nan = replace(below, above=leaping(*[[(float("nan"), 0.0)] * 2] * 4))
    assert set(told(starts, nan, walled(1.0))) == {"level 2: out of limits"}


def test_who_has_strayed_must_do_no_worse_than_rest_wherever_rest_is() -> None:
    place, rails, objective = walled(1.0)
    as_bad = replace(plan(torch.zeros(1, 1, 2)), above=leaping([(0.0, 0.0), (0.0, 0.0)]))
    assert told([[1.4, 0.0]], as_bad, (place, rails, objective)) == ()
    drift = Layout(
        (Channel("leap", 2, "m", (-1.0, -1.0), (3.0, 3.0)),)
    )  # its middle leads on by 1 m
    drifting = replace(place, site=replace(place.site, actuators=drift)), rails, objective
    leaps = leaping([(0.8, 0.0), (0.7, 0.0)], [(1.0, 0.0), (1.1, 0.0)])
    below = replace(plan(torch.zeros(2, 1, 2)), above=leaps)
    assert told([[0.5, 0.0]] * 2, below, drifting) == ("", "level 2: wall 1.0")
