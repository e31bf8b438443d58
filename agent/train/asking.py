"""How training asks a mind's planner for plans."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.messages import Directive, Mode, Plan


def directives(mind: Mind) -> Callable[[Tensor], Directive]:
    """Return how training asks for plans: every term at weight 1, mode 2, the config's horizon."""
    site, horizon = mind.site, mind.configurator.config.horizon

    def ask(goal: Tensor) -> Directive:
        rows = len(goal)
        return Directive(
            goal=goal,
            weights=torch.ones(rows, len(site.terms)),
            attention=torch.ones(rows, len(site.sensors.channels)),
            mode=torch.full((rows,), int(Mode.DELIBERATE)),
            horizon=horizon,
        )

    return ask


def fresh_plans(mind: Mind) -> Callable[[Tensor, Directive], Plan]:
    """Return a planner without a warm start from call to call; of a hierarchy, the lowest."""
    actor = getattr(mind.actor, "lowest", mind.actor)

    def plan(latent: Tensor, directive: Directive) -> Plan:
        actor.reset(len(latent))
        made: Plan = actor.plan(latent, directive)
        return made

    return plan
