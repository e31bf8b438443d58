"""Attitudes to risk over ensemble members."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agent.core.errors import InputError, nearest
from agent.core.messages import Risk

KINDS = ("mean", "worst", "cvar", "free_energy")


def aggregate(energies: Tensor, risk: Risk) -> Tensor:
    """Reduce energies [E ...] over members to [...], by the given attitude.

    `mean`; `worst` (maximum); `cvar`: mean of the worst share `alpha`; `free_energy`:
    alpha * log mean exp(energy / alpha), from the mean (alpha → inf) to the worst (alpha → 0).
    Raises InputError for an unknown attitude.

    Source: free energy as soft extremum, LeCun (2022) sec. 4.1; CVaR, Rockafellar & Uryasev
    (2000).
    """
    if risk.kind == "mean":
        return energies.mean(dim=0)
    if risk.kind == "worst":
        return energies.amax(dim=0)
    if risk.kind == "cvar":
        count = max(1, math.ceil(risk.alpha * energies.shape[0]))
        return energies.topk(count, dim=0).values.mean(dim=0)
    if risk.kind == "free_energy":
        spread = torch.logsumexp(energies / risk.alpha, dim=0) - math.log(energies.shape[0])
        return risk.alpha * spread
    raise InputError(f"risk: unknown attitude '{risk.kind}'; {nearest(risk.kind, KINDS)}")
