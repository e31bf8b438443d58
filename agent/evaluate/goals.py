"""What an agent is asked: goals told in numbers, or shown as what it would observe there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.messages import Task


@torch.no_grad()
def asked(mind: Mind, trials: Any, seeds: Sequence[int], told: Task | None = None) -> Task:
    """Return the task of the episodes with these seeds, or `told`, as this agent is given it.

    Where goals are shown (`shown` in the config), a world of its own is put where the goal is, and
    what its sensors show there is all that the agent learns: perception encodes it, and the goal in
    numbers is what the agent's readouts say of that latent, errors and all.
    Raises InputError if the world cannot show its goals.
    """
    told = trials.tasks(seeds) if told is None else told
    config = mind.blueprint.config
    if not config.shown:
        return told
    if config.run.goal is not None:
        raise InputError("run.goal: expected goals in numbers, came `shown: true`; leave one out")
    if not hasattr(trials, "sights"):
        raise InputError(
            f"shown: expected a world that can show its goals, came {config.world['use']}; give its"
            f" trials a function `sights`, or set `shown: false`"
        )
    world = mind.blueprint.world(len(seeds))
    try:
        seen = trials.sights(world, seeds)
    finally:
        world.close()
    latent = mind.perception.encode(seen.values)
    return Task(mind.readouts.read(latent)[mind.site.goal.names[0]], latent)
