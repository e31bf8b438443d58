"""Calibration may begin every other plan where an agent that plans anew at every tick has come."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.config.build import Mind
from agent.core.messages import Plan
from agent.train.calibrate import Calibrate, attempt
from agent.train.course import directives, fresh_plans


@pytest.mark.parametrize("lived", [0, 3])
def test_every_other_plan_begins_after_ticks_lived(mind: Mind, world: Any, lived: int) -> None:
    goals, horizon, asked = torch.tensor([[0.2, 0.2]]), mind.configurator.config.horizon, []
    plan = fresh_plans(mind)

    def noted(latent: torch.Tensor, directive: Any) -> Plan:
        asked.append(latent.clone())
        return plan(latent, directive)

    settings = Calibrate(episodes=world.batch, segments=3, lived=lived)
    trial = attempt(
        settings, world, mind.perception, noted, directives(mind), mind.objective.imagine,
        mind.rails, goals, 500_000,
    )  # fmt: skip
    assert len(asked) == 3 + lived
    assert trial.dataset.ticks == 3 * horizon + lived
    assert len(trial.excess) + trial.refused == 3 * world.batch
    began = [trial.dataset.values[:, tick] for tick in (0, horizon + lived, 2 * horizon + lived)]
    for values, place in zip(began, (0, 1 + lived, 2 + lived), strict=True):
        assert torch.equal(mind.perception.encode(values), asked[place])
