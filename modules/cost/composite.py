"""The cost module: intrinsic and task terms, added up, and the critic's anticipation.

energy = sum over steps and terms of weight * term / H + weight * anticipation of the last state
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from agent.core.messages import Action, Appraisal, Bill, Directive, Percept, Recollection, Rollout
from agent.core.protocols import Inbox, Ports, Readouts, Site, Term
from agent.core.risk import aggregate, attribute
from agent.core.settings import Settings

ANTICIPATION = "anticipation"
MOST = 1e6
"""The most a critic may anticipate; what it says that is no number counts as this."""


class Anticipates(Protocol):
    """A critic: anticipated future intrinsic energy [...] of latents [..., Z]."""

    def anticipate(self, latents: Tensor) -> Tensor:
        """Return the anticipated energy, >= 0."""
        ...


class CompositeCost:
    """Adds up immutable terms and the critic; never sees the world, only rollouts.

    Source: LeCun (2022) sec. 3.2: C(s) = intrinsic cost + trainable critic.
    """

    class Config(Settings):
        """`anticipation` weighs the critic's view of the last imagined state.

        `above` names the terms that count at levels above, where the world model has any: those
        that mean something when a step takes long, and look at quantities only.
        """

        anticipation: float = 0.1
        above: list[str] = []

    reads = (Percept, Recollection, Directive)
    recalls = (Action,)
    posts = Appraisal

    def __init__(
        self,
        config: Config,
        site: Site,
        terms: Sequence[Term],
        readouts: Readouts,
        critic: Anticipates | None,
    ) -> None:
        """Sum `terms` over quantities from `readouts`; `critic` None anticipates nothing."""
        self._terms, self._readouts, self._critic = tuple(terms), readouts, critic
        self.terms = (*(t.name for t in terms), ANTICIPATION)
        self._counting = next((t for t in self._terms if hasattr(t, "stage")), None)
        self._intrinsic = torch.tensor([t.kind == "intrinsic" for t in terms], dtype=torch.bool)
        self._weights = torch.tensor([*(t.weight for t in terms), config.anticipation])
        self._site = site

    def ports(self) -> Ports:
        """Return the sizes of latent, action, goal and terms."""
        site = self._site
        return Ports(
            {
                "Z": site.latent,
                "A": site.actuators.size,
                "G": site.goal.size,
                "T": len(self.terms),
            }
        )

    def reset(self, batch: int) -> None:
        """Nothing to forget: the cost keeps no state."""

    def energy(self, rollout: Rollout, directive: Directive) -> Bill:
        """Return the bill of a rollout: terms weighted, members aggregated by attitude to risk."""
        per_member = self._per_member(rollout, directive)
        horizon = rollout.actions.shape[2]
        total = per_member.sum(dim=(3, 4)) / horizon
        b, k = total.shape[1:]
        none = total.new_zeros(b, k, 0, horizon)
        return Bill(
            energy=aggregate(total, directive.risk),
            terms=attribute(per_member, total, directive.risk) / horizon,
            guardrails=none,
            violation=total.new_zeros(b, k),
        )

    def tick(self, inbox: Inbox) -> Appraisal:
        """Return the energy of now, term by term, and what the critic anticipates."""
        percept, directive = inbox[Percept], inbox[Directive]
        last = inbox.last(Action)
        latent = percept.latent
        b = latent.shape[0]
        actions = latent.new_zeros(b, self._site.actuators.size) if last is None else last.command
        latents = latent[None, :, None, None, :]
        read = self._readouts.read(latents)
        now = Rollout(latent, actions[:, None, None], latents, read, networks=1)
        terms = self._per_member(now, directive)[0, :, 0, :, 0]
        drives = terms[:, :-1][:, self._intrinsic].sum(dim=1)
        anticipation = self._anticipate(latent)
        stage = None if self._counting is None else self._counting.stage(now, directive)
        return Appraisal(terms, drives, terms.sum(dim=1), anticipation, stage)

    def _per_member(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return weighted energies [E B K T H]; the critic's stands at the last step, times H."""
        e, b, k, h, _ = rollout.latents.shape
        columns = [t.energy(rollout, directive).expand(e, b, k, h) for t in self._terms]
        ahead = rollout.latents.new_zeros(e, b, k, h)
        if self._critic is not None:
            ahead[..., -1] = self._anticipate(rollout.latents[..., -1, :]) * h
        weights = directive.weights * self._weights
        return torch.stack([*columns, ahead], dim=3) * weights[:, None, :, None]

    def _anticipate(self, latents: Tensor) -> Tensor:
        if self._critic is None:
            return latents.new_zeros(latents.shape[:-1])
        said = self._critic.anticipate(latents)
        return said.nan_to_num(MOST, MOST, 0.0).clamp(0.0, MOST)


__all__ = ["ANTICIPATION", "CompositeCost"]
