"""An actor that watches: it plans to rest.

Source: LeCun (2022) sec. 4, most of how the world works is learned by observation, not by acting.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from agent.core.messages import Appraisal, Directive, Percept, Plan, Recollection
from agent.core.protocols import Inbox, Objective, Ports, Site
from agent.core.settings import Settings


class Still:
    """Plans the command nearest to zero within the limits, for `directive.horizon` ticks.

    The plan is imagined and billed like any other, so it says what is expected to happen. In a
    world without actuators, which can only be watched, it is the whole of acting.
    """

    class Config(Settings):
        """There is nothing to set."""

    reads: ClassVar[tuple[type, ...]] = (Percept, Directive, Appraisal, Recollection)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Rest within the site's limits. Raises ValueError if `site.objective` is missing."""
        if site.objective is None:
            raise ValueError("still: expected site.objective, came None; build the actor last")
        self.config, self.site = config, site
        self._objective: Objective = site.objective
        low, high = site.actuators.bounds()
        self._rest = torch.zeros_like(low).clamp(low, high)

    def ports(self) -> Ports:
        """Insist on the sizes of latent and command."""
        return Ports(axes={"Z": self.site.latent, "A": self.site.actuators.size})

    def reset(self, batch: int) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Plan:
        """Return the plan of this tick."""
        return self.plan(inbox[Percept].latent, inbox[Directive])

    @torch.no_grad()
    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        """Return rest from latents [B Z] on, imagined and billed."""
        actions = self._rest.expand(len(latent), directive.horizon, -1).clone()
        rollout, bill = self._objective(latent, actions.unsqueeze(1), directive)
        violation = bill.violation[:, 0].clamp(min=0.0)
        return Plan(
            actions=actions,
            latents=rollout.latents[:, :, 0].mean(dim=0),
            energy=bill.energy[:, 0],
            terms=bill.terms[:, 0],
            guardrails=bill.guardrails[:, 0],
            violation=violation,
            temptation=actions.clone(),
            temptation_violation=violation.clone(),
            mode=directive.mode,
            evaluations=len(latent),
        )
