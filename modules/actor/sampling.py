"""Parts of sampling planners: correlated noise, and candidates ranked guardrails first."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from agent.core.messages import Bill, Directive, Rollout


@dataclass(frozen=True, slots=True)
class Pool:
    """Evaluated candidates.

    Shapes: `actions` [B K H A], `latents` [B K H Z] (mean over members), `energy` and `violation`
    [B K], `terms` [B K T H], `guardrails` [B K R H]. Where energy or violation is not finite, both
    are infinite.
    """

    actions: Tensor
    latents: Tensor
    energy: Tensor
    violation: Tensor
    terms: Tensor
    guardrails: Tensor

    @staticmethod
    def of(rollout: Rollout, bill: Bill) -> Pool:
        """Return the candidates of a rollout with their bills."""
        sound = torch.isfinite(bill.energy) & torch.isfinite(bill.violation)
        return Pool(
            rollout.actions,
            rollout.latents.mean(dim=0),
            bill.energy.masked_fill(~sound, torch.inf),
            bill.violation.masked_fill(~sound, torch.inf),
            bill.terms,
            bill.guardrails,
        )

    def __add__(self, other: Pool) -> Pool:
        """Return both pools' candidates, these first."""
        return Pool(
            *(torch.cat((getattr(self, f.name), getattr(other, f.name)), 1) for f in fields(Pool))
        )

    def take(self, order: Tensor) -> Pool:
        """Return the candidates that `order` [B k] names, in that order."""
        rows = torch.arange(len(order)).unsqueeze(1)
        return Pool(*(getattr(self, f.name)[rows, order] for f in fields(Pool)))

    def agents(self, rows: Tensor) -> Pool:
        """Return the candidates of agents `rows` [b], in that order."""
        return Pool(*(getattr(self, f.name)[rows] for f in fields(Pool)))

    def best(self, count: int) -> Pool:
        """Return the first `count`: feasible by energy, then infeasible by violation.

        Ties keep their order, and what is not finite comes last.
        """
        by_energy = self.energy.argsort(dim=1, stable=True)
        excess = self.violation.clamp(min=0.0).gather(1, by_energy)
        order = by_energy.gather(1, excess.argsort(dim=1, stable=True))
        return self.take(order[:, :count])

    def tempting(self) -> Pool:
        """Return the one candidate of least energy, whatever it violates."""
        return self.take(self.energy.argmin(dim=1, keepdim=True))

    def rows(self, others: list[Pool]) -> Pool:
        """Return this pool's agents followed by those of the others."""
        if not others:
            return self
        pools = [self, *others]
        return Pool(*(torch.cat([getattr(p, f.name) for p in pools]) for f in fields(Pool)))


def correlation(horizon: int, ticks: float) -> Tensor:
    """Return L [H H] such that L @ white noise has unit variance, correlated over `ticks`.

    The covariance is exp(-|i - j| / ticks), an Ornstein-Uhlenbeck process; coloured noise finds
    long motions with fewer samples. Source: Pinneri et al. (2020), iCEM, sec. 3.1.
    """
    time = torch.arange(horizon, dtype=torch.float64)
    covariance = torch.exp(-(time[:, None] - time).abs() / ticks)
    root: Tensor = torch.linalg.cholesky(covariance)
    return root.float()


def some(directive: Directive, rows: Tensor | slice) -> Directive:
    """Return the directive of some agents only."""
    return replace(
        directive,
        goal=directive.goal[rows],
        weights=directive.weights[rows],
        attention=directive.attention[rows],
        mode=directive.mode[rows],
    )
