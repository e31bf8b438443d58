"""Margins of the levels above are measured on steps of plans that are really followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.messages import Directive, Plan
from agent.train.asking import directives
from agent.train.calibrate import Calibrate
from agent.train.calibrate_levels import calibrate_levels, strayed
from tests.contract.stand import mind

ROWS, STEPS, TICKS = 3, 4, 2
GOALS = torch.tensor([[0.2, 0.2], [-0.1, 0.3]])


@pytest.fixture
def tall() -> Mind:
    return mind("actor", "hierarchical")


@pytest.fixture
def world(tall: Mind) -> Iterator[Any]:
    made = tall.blueprint.world(ROWS)
    yield made
    made.close()


class Willing:
    """The actor, but that guardrails' values of level 2 are told ones, and refused where asked."""

    def __init__(self, real: Any, told: float | Tensor, refused: Callable[[int], bool]) -> None:
        self._real, self._told, self._refused, self.asked = real, told, refused, 0

    def reset(self, batch: int) -> None:
        self._real.reset(batch)

    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        made = self._real.plan(latent, directive)
        told = torch.zeros_like(made.above.guardrails) + self._told
        violation = torch.full((ROWS,), float(self._refused(self.asked // TICKS)))
        self.asked += 1
        above = replace(made.above, guardrails=told, violation=violation)
        return replace(made, violation=torch.zeros(ROWS), above=above)


def test_a_step_is_held_against_what_came_of_it_and_refused_plans_do_not_count(
    tall: Mind, world: Any
) -> None:
    found = []
    for told in (0.0, 0.25):
        actor = Willing(tall.actor, told, lambda step: step == 1)
        some = replace(tall, actor=actor)
        (part,) = strayed(some, world, directives(tall), GOALS, range(ROWS), STEPS)
        assert actor.asked == STEPS * TICKS
        assert part.shape == (ROWS * (STEPS - 1), len(tall.rails), 1)
        found.append(part)
    torch.testing.assert_close(found[0] - found[1], torch.full_like(found[0], 0.25))
    values = world.readings(world.simulation.trace[:, -1])
    limit = tall.blueprint.guardrails[0].settings.limit
    came = limit - values[:, world.sensors["proximity"]][:, 0]
    torch.testing.assert_close(found[0][-ROWS:, 0, 0].double(), torch.from_numpy(came), atol=1e-5, rtol=0)  # fmt: skip


def test_every_step_that_is_followed_counts(tall: Mind, world: Any) -> None:
    tall.tiers[0].level.follow = 2
    found = []
    for told in ((0.0, 0.0), (0.25, 1.0)):
        actor = Willing(tall.actor, torch.tensor([*told, 9.0]), lambda step: False)
        some = replace(tall, actor=actor)
        (part,) = strayed(some, world, directives(tall), GOALS, range(ROWS), STEPS)
        found.append(part.view(STEPS, ROWS, -1))
    less = (found[0] - found[1])[:, :, 0]
    wanted = torch.tensor([0.25, 1.0, 0.25, 1.0])[:, None].expand(STEPS, ROWS)
    torch.testing.assert_close(less, wanted)


def test_a_margin_is_that_of_steps_followed_and_goes_on(tall: Mind, world: Any) -> None:
    settings, ask = Calibrate(rounds=2, episodes=ROWS, segments=STEPS, rate=0.2), directives

    def under(margins: list[Tensor]) -> Mind:
        return replace(tall, actor=Willing(tall.actor, -1.0, lambda step: False))

    margins, figures = calibrate_levels(settings, world, under, ask, GOALS, 0)
    assert margins[0].shape == (len(tall.rails), 1)
    assert float(margins[0].max()) > 0
    assert 0 <= figures["level2.coverage"] <= figures["level2.coverage_mean"] <= 1

    def never(margins: list[Tensor]) -> Mind:
        return replace(tall, actor=Willing(tall.actor, 0.0, lambda step: True))

    with pytest.raises(InputError, match="level 2: expected plans that guardrails allow"):
        calibrate_levels(settings, world, never, ask, GOALS, 0)


class Ending:
    """A world whose first episode of a batch ends as its second step does, as it says itself."""

    def __init__(self, world: Any) -> None:
        self._world, self._ticks = world, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def step(self, action: Any) -> Any:
        self._ticks += 1
        return self._world.step(action)

    @property
    def over(self) -> np.ndarray:
        return np.arange(ROWS) < (self._ticks >= 2 * TICKS)


def test_what_comes_after_an_end_does_not_count(tall: Mind, world: Any) -> None:
    some = replace(tall, actor=Willing(tall.actor, -1.0, lambda step: False))
    (part,) = strayed(some, Ending(world), directives(tall), GOALS, range(ROWS), STEPS)
    assert len(part) == ROWS * STEPS - (STEPS - 2)
