"""Candidates with their bills, ranked guardrails first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from agent.core.considered import Rival
from agent.core.messages import Bill, Rollout

APART = 0.1
"""From where on two plans are different ones, in halves of the actuators' range."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Evaluated candidates.

    Shapes: `actions` [B K H A], `latents` [B K E H Z] of every member, `energy` and `violation`
    [B K], `terms` [B K T H], `guardrails` [B K R H]. Where energy or violation is not finite, the
    energy is infinite; the violation only where it is itself no number: what a plan costs never
    says whether it is allowed.
    """

    actions: Tensor
    latents: Tensor
    energy: Tensor
    violation: Tensor
    terms: Tensor
    guardrails: Tensor

    @property
    def columns(self) -> tuple[Tensor, ...]:
        """The tensors, in order; looked at thousands of times a second, so without reflection."""
        return (
            self.actions, self.latents, self.energy, self.violation, self.terms, self.guardrails
        )  # fmt: skip

    @staticmethod
    def of(rollout: Rollout, bill: Bill) -> Pool:
        """Return the candidates of a rollout with their bills."""
        unsound = ~torch.isfinite(bill.energy + bill.violation)
        return Pool(
            rollout.actions,
            rollout.latents.permute(1, 2, 0, 3, 4),
            bill.energy.masked_fill(unsound, torch.inf),
            bill.violation.nan_to_num(torch.inf, torch.inf, torch.inf),
            bill.terms,
            bill.guardrails,
        )

    def detached(self) -> Pool:
        """Return the candidates without the graph that their gradients came through."""
        return Pool(*(part.detach() for part in self.columns))

    def __add__(self, other: Pool) -> Pool:
        """Return both pools' candidates, these first."""
        return Pool.joined((self, other))

    @staticmethod
    def joined(pools: Sequence[Pool]) -> Pool:
        """Return the candidates of all pools, in order."""
        return Pool(
            *(torch.cat(parts, 1) for parts in zip(*(p.columns for p in pools), strict=True))
        )

    def take(self, order: Tensor) -> Pool:
        """Return the candidates that `order` [B k] names, in that order."""
        rows = torch.arange(len(order)).unsqueeze(1)
        return Pool(*(part[rows, order] for part in self.columns))

    def agents(self, rows: Tensor) -> Pool:
        """Return the candidates of agents `rows` [b], in that order."""
        return Pool(*(part[rows] for part in self.columns))

    def order(self) -> Tensor:
        """Return the ranking [B K]: feasible by energy, then infeasible by violation.

        Ties keep their order, and what is not finite comes last.
        """
        by_energy = self.energy.argsort(dim=1, stable=True)
        excess = self.violation.clamp(min=0.0).gather(1, by_energy)
        return by_energy.gather(1, excess.argsort(dim=1, stable=True))

    def best(self, count: int) -> Pool:
        """Return the first `count` of the ranking."""
        return self.take(self.order()[:, :count])

    def first(self, count: int) -> Pool:
        """Return the first `count` candidates as they stand."""
        return Pool(*(part[:, :count] for part in self.columns))

    def after(self, count: int) -> Pool:
        """Return all candidates but the first `count`."""
        return Pool(*(part[:, count:] for part in self.columns))

    def without(self, these: Tensor) -> Pool:
        """Return the candidates with `these` [B K] out of the race: as if not finite."""
        return replace(
            self,
            energy=self.energy.masked_fill(these, torch.inf),
            violation=self.violation.masked_fill(these, torch.inf),
        )

    def bare(self) -> Pool:
        """Return the candidates without what was imagined of them, which is most of them."""
        latents = self.latents[..., :0]
        return Pool(self.actions, latents, self.energy, self.violation, self.terms, self.guardrails)

    def rival(self, chosen: Pool, half: Tensor) -> Pool:
        """Return the best candidate unlike the `chosen` one, both [B 1]; not finite: there is none.

        Unlike is what differs on average by more than the share `APART` of `half` [A].
        """
        gap = (self.actions - chosen.actions).abs() / half.clamp(min=1e-9)
        return self.bare().without(gap.mean(dim=(2, 3)) <= APART).best(1)

    def as_rival(self) -> Rival:
        """Return the first candidate as a message tells it, with the guardrail it breaks most."""
        violation, rails = self.violation[:, 0].clamp(min=0.0), self.guardrails[:, 0]
        blamed = torch.full_like(violation, -1, dtype=torch.int64)
        if rails.shape[1]:
            worst = rails.amax(dim=2).argmax(dim=1)
            blamed = torch.where((violation > 0) & torch.isfinite(violation), worst, blamed)
        energy, terms = self.energy[:, 0], self.terms[:, 0].sum(dim=2)
        return Rival(self.actions[:, 0], energy, terms, violation, blamed)

    def tempting(self) -> Pool:
        """Return the one candidate of least energy, whatever it violates."""
        return self.take(self.energy.argmin(dim=1, keepdim=True))

    def sample(self, count: int) -> Pool:
        """Return `count` candidates evenly spread over them as they stand; some twice if few."""
        last = self.energy.shape[1] - 1
        places = torch.linspace(0, last, count).round().long()
        return Pool(*(part[:, places] for part in self.columns))

    def rows(self, others: list[Pool]) -> Pool:
        """Return this pool's agents followed by those of the others."""
        if not others:
            return self
        pools = [self, *others]
        return Pool(*(torch.cat(parts) for parts in zip(*(p.columns for p in pools), strict=True)))
