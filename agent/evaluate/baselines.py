"""What an agent is measured against: commands of no mind, in the harness that agents live in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agent.core.messages import Action, Observation, Task
from agent.evaluate.episodes import Goal, Outcome, outcome_of, tasks_of, trials_of

Commands = Callable[[int, Observation, Task], Tensor]
"""Returns the commands [B A], in actuator units, of a tick, from what is seen and asked there."""


def commanded(
    world: Any, seeds: Sequence[int], ticks: int, policy: Commands, goal: Goal = None
) -> Outcome:
    """Live one episode per seed under `policy`, ungated, and return what truly happened."""
    task = tasks_of(world, seeds, goal)
    scorer = trials_of(world).Scorer(world, task)
    seen = world.reset(seeds)
    for index in range(ticks):
        seen = world.step(Action(policy(index, seen, task)))
        scorer.look()
    return outcome_of(scorer.score(), ticks * len(seeds))


def random_policy(world: Any, seeds: Sequence[int], ticks: int, goal: Goal = None) -> Outcome:
    """Live episodes under uniform random commands, held for a quarter of a second, ungated."""
    low, high = world.actuators.bounds()
    hold = max(1, round(world.rate_hz / 4))
    generators = [np.random.default_rng((s, 2)) for s in seeds]
    command = low

    def policy(index: int, *_: Any) -> Tensor:
        nonlocal command
        if index % hold == 0:
            draws = np.stack([g.uniform(size=len(low)) for g in generators])
            command = low + (high - low) * torch.tensor(draws, dtype=torch.float32)
        chosen: Tensor = command
        return chosen

    return commanded(world, seeds, ticks, policy, goal)


__all__ = ["Commands", "commanded", "random_policy"]
