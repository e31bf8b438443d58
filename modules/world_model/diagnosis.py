"""How to see that a joint embedding has not collapsed, and what training it did to it.

Source: LeCun (2022) sec. 4.5, the four criteria of training a JEPA: both codes informative, the
second predictable from the first, little information in the latent variable.
"""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-4
"""Variance added in every direction, so that a flat one has a finite entropy."""

RANK_SHARE = 0.25
DEVIATION = 0.05
"""Collapsed: an effective rank below this share of Z, or dimensions that hardly vary."""


@torch.no_grad()
def collapse(latents: Tensor) -> dict[str, float]:
    """Return how far latents [n Z] are from collapse.

    `deviation_min` and `deviation_mean` over dimensions; `effective_rank`, the exponential of the
    entropy of the normalised singular values, from 1 (collapsed) to Z.

    Source: Roy, Vetterli (2007), "The effective rank".
    """
    deviations = latents.std(dim=0)
    values = torch.linalg.svdvals(latents - latents.mean(dim=0))
    share = values / values.sum().clamp(min=1e-12)
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return {
        "deviation_min": float(deviations.min()),
        "deviation_mean": float(deviations.mean()),
        "effective_rank": float(entropy.exp()),
    }


@torch.no_grad()
def deviations(latents: Tensor) -> dict[str, float]:
    """Return the deviation of every dimension of latents [n Z], as `deviation.i`."""
    return {f"deviation.{i}": float(d) for i, d in enumerate(latents.std(dim=0))}


@torch.no_grad()
def criteria(latents: Tensor, predicted: Tensor) -> dict[str, float]:
    """Return the four criteria for latents [n L+1 Z] and predictions [n L Z] of all but the first.

    `information_x` and `information_y`: of the codes at the window's start and end (`information`).
    `predictability`: 1 - mse / variance of the predicted codes; 1 is perfect, 0 what their mean
    would score. `information_z`: 0, as this world model has no latent variable.

    Source: LeCun (2022) sec. 4.5.1, criteria 1 to 4.
    """
    targets = latents[:, 1:]
    error, variance = (predicted - targets).square().mean(), targets.var(dim=0).mean()
    return {
        "information_x": information(latents[:, 0]),
        "information_y": information(latents[:, -1]),
        "predictability": float(1 - error / variance.clamp(min=1e-12)),
        "information_z": 0.0,
    }


def information(latents: Tensor) -> float:
    """Return the nats per dimension of a Gaussian with the covariance of latents [n Z].

    1/(2Z) logdet(cov + ridge I), counted from that of N(0, I): about 0 for the unit Gaussian, -4.6
    for a point. An upper bound, as no density of that covariance has more entropy.

    Source: Cover, Thomas (2006) sec. 8.4 and 8.6.
    """
    centred = latents - latents.mean(dim=0)
    matrix = centred.T @ centred / (len(latents) - 1)
    ridge = RIDGE * torch.eye(latents.shape[1], dtype=latents.dtype, device=latents.device)
    return float(torch.linalg.slogdet(matrix + ridge).logabsdet / (2 * latents.shape[1]))


def collapsed(figures: dict[str, float], size: int) -> float:
    """Return 1.0 if the `collapse` figures of latents of `size` dimensions say so, else 0.0."""
    flat = figures["deviation_mean"] < DEVIATION
    return float(flat or figures["effective_rank"] < RANK_SHARE * size)
