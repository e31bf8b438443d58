"""Associative retrieval: modern Hopfield networks, whose update is attention, and their energy.

Source: Ramsauer et al. (2021), "Hopfield Networks is All You Need", eqs. 2 and 3; for `level`,
Cheng (1995), "Mean Shift, Mode Seeking, and Clustering".
"""

from __future__ import annotations

import torch
from torch import Tensor


def energy(patterns: Tensor, state: Tensor, beta: float, level: bool = False) -> Tensor:
    """Return the energy [...] of states [... Z] among stored patterns [... N Z] (or [N Z]).

    -log(sum exp(beta x_i.s)) / beta + |s|^2 / 2, but for a constant. With `level`, of
    exp(-beta |x_i - s|^2 / 2) instead, without the last term: the same energy where all patterns
    are of one length; where not, long ones do not outshout the others.
    """
    lse = torch.logsumexp(beta * _similarity(patterns, state, level), dim=-1) / beta
    return -lse if level else state.square().sum(dim=-1) / 2 - lse


def attention(patterns: Tensor, state: Tensor, beta: float, level: bool = False) -> Tensor:
    """Return how much each pattern is attended to, [... N], by states [... Z]; sums to 1."""
    return torch.softmax(beta * _similarity(patterns, state, level), dim=-1)


def retrieve(
    patterns: Tensor, state: Tensor, beta: float, steps: int, level: bool = False
) -> Tensor:
    """Return states [... Z] after `steps` updates s <- X softmax(beta X^T s).

    Every update lowers the energy or leaves it. A higher `beta` sharpens: towards the nearest
    pattern alone; a lower one retrieves what several have in common.
    """
    for _ in range(steps):
        weights = attention(patterns, state, beta, level)
        state = (weights.unsqueeze(-2) @ patterns).squeeze(-2)
    return state


def _similarity(patterns: Tensor, state: Tensor, level: bool) -> Tensor:
    """Return x_i.s, or with `level` -|x_i - s|^2 / 2, [... N]."""
    shared = patterns.ndim == 2
    dots = state @ patterns.mT if shared else (patterns @ state.unsqueeze(-1)).squeeze(-1)
    if not level:
        return dots
    lengths = patterns.square().sum(dim=-1) + state.square().sum(dim=-1, keepdim=True)
    return dots - lengths / 2
