"""How training asks a mind's planner for plans, and its terms whether they can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.messages import Directive, Mode, Plan
from agent.train.dataset import Dataset
from agent.train.progress import Ledger


def directives(mind: Mind, scales: Mapping[str, float] = {}) -> Callable[[Tensor], Directive]:
    """Return how training asks for plans: mode 2, the config's horizon.

    Every term is weighed by `scales`, by name; by 1 where that does not name it.
    """
    site, horizon = mind.site, mind.configurator.config.horizon
    weights = torch.tensor([scales.get(term, 1.0) for term in site.terms])

    def ask(goal: Tensor) -> Directive:
        rows = len(goal)
        return Directive(
            goal=goal,
            weights=weights.expand(rows, -1),
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


def expect_comparable(mind: Mind, dataset: Dataset, ledger: Ledger) -> None:
    """Let terms that want what a sensor shows look at what it showed, and say what they find.

    Raises InputError for a term that cannot tell what was explored apart.
    """
    cuts = {channel.name: cut for channel, cut in mind.site.sensors.scalars.slices()}
    for term in mind.terms:
        cut = cuts.get(getattr(term, "quantity", ""))
        if cut is not None and hasattr(term, "compare"):
            lived = torch.arange(dataset.ticks) < dataset.ends()[:, None]
            found = term.compare(dataset.values[:, 1:, cut].sum(dim=-1)[lived])
            if found:
                ledger.say(f"  warning: {found}")
