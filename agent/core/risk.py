"""Attitudes to risk over imagined futures: ensemble members and draws of z alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.core.errors import InputError, nearest

KINDS = ("mean", "worst", "cvar", "free_energy")


@dataclass(frozen=True, slots=True)
class Risk:
    """Attitude over futures, of all networks and draws of z: one of `KINDS`.

    `alpha` is the share of worst futures that `cvar` looks at, in (0, 1], or the temperature of
    `free_energy`, above 0, in units of energy; `mean` and `worst` have no use for it.
    Raises InputError for an unknown attitude or an `alpha` out of range.
    """

    kind: str = "mean"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        """Check the attitude."""
        if self.kind not in KINDS:
            hint = nearest(self.kind, KINDS)
            raise InputError(f"risk: unknown attitude '{self.kind}'; {hint}")
        most = 1.0 if self.kind == "cvar" else math.inf
        if not 0.0 < self.alpha <= most or math.isinf(self.alpha):
            wanted = "in (0, 1], the share of worst futures" if most == 1.0 else "above 0, finite"
            raise InputError(
                f"risk: expected an alpha {wanted}, for {self.kind}, came {self.alpha};"
                f" set configurator.risk_alpha"
            )


def aggregate(energies: Tensor, risk: Risk) -> Tensor:
    """Reduce energies [E ...] over futures to [...], by the given attitude.

    `mean`; `worst` (maximum); `cvar`: mean of the worst share `alpha`, from the worst (alpha → 0)
    to the mean (1); `free_energy`: alpha * log mean exp(energy / alpha), from the worst (alpha → 0)
    to the mean (alpha → inf). Where alpha * E is no whole number, `cvar` counts the last future of
    the worst share in part. Monotone: a future that costs more never makes a plan cheaper.

    Source: free energy as soft extremum, LeCun (2022) sec. 4.1; CVaR of a discrete distribution,
    Rockafellar & Uryasev (2002), prop. 8.
    """
    if risk.kind == "mean":
        return energies.mean(dim=0)
    if risk.kind == "worst":
        return energies.amax(dim=0)
    if risk.kind == "cvar":
        share = max(1.0, risk.alpha * len(energies))
        tail = energies.topk(math.ceil(share), dim=0).values
        return (tail[:-1].sum(dim=0) + (share - (len(tail) - 1)) * tail[-1]) / share
    top = energies.detach().amax(dim=0)
    above = torch.expm1((energies - top) / risk.alpha).mean(dim=0)
    return top + risk.alpha * torch.log1p(above)


def attribute(parts: Tensor, energies: Tensor, risk: Risk) -> Tensor:
    """Return parts [E B K ...] of energies [E B K], weighed as `risk` weighs futures: [B K ...].

    The parts that the deciding futures pay, so that they add up to what `aggregate` says of their
    sum. (For `free_energy` to more: by `alpha` times the divergence of these weights from even.)
    """
    if risk.kind == "mean":
        return parts.mean(dim=0)
    if risk.kind == "free_energy":
        shares = torch.softmax(energies / risk.alpha, dim=0)
    else:
        share = 1.0 if risk.kind == "worst" else max(1.0, risk.alpha * len(energies))
        tail = energies.topk(math.ceil(share), dim=0).indices
        each = energies.new_full((len(tail), *(1,) * (energies.ndim - 1)), 1.0 / share)
        each[-1] = 1.0 - (len(tail) - 1) / share
        shares = torch.zeros_like(energies).scatter(0, tail, each.expand_as(tail))
    shares = shares.detach().reshape(*energies.shape, *(1,) * (parts.ndim - energies.ndim))
    return (shares * parts).sum(dim=0)
