"""What keeps a joint embedding from collapsing, and how to see that it has not.

Source: Bardes, Ponce, LeCun (2022), "VICReg", sec. 4.1; LeCun (2022) sec. 4.5, the four criteria of
training a JEPA: both codes informative (variance, covariance), predictable (prediction).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.settings import Settings

EPSILON = 1e-4


class VICReg:
    """Keeps every latent dimension varying, and no two of them saying the same."""

    class Config(Settings):
        """Weights of the two criteria, and the deviation every dimension should reach."""

        variance: float = Field(default=1.0, ge=0)
        covariance: float = Field(default=0.2, ge=0)
        deviation: float = Field(default=1.0, gt=0)

    def __init__(self, config: Config) -> None:
        """Keep the weights."""
        self.config = config

    def __call__(self, latents: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted penalty of latents [n Z] and its two parts, unweighted."""
        first, second = variance(latents, self.config.deviation), covariance(latents)
        penalty = self.config.variance * first + self.config.covariance * second
        return penalty, {"variance": float(first.detach()), "covariance": float(second.detach())}


def variance(latents: Tensor, deviation: float) -> Tensor:
    """Return the mean shortfall of each dimension's deviation, of latents [n Z]; VICReg eq. 1."""
    spread = (latents.var(dim=0) + EPSILON).sqrt()
    return torch.relu(deviation - spread).mean()


def covariance(latents: Tensor) -> Tensor:
    """Return the squared off-diagonal covariances of latents [n Z], over Z; VICReg eq. 3-4."""
    centred = latents - latents.mean(dim=0)
    matrix = centred.T @ centred / (len(latents) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / latents.shape[1]


@torch.no_grad()
def collapse(latents: Tensor) -> dict[str, float]:
    """Return how far latents [n Z] are from collapse.

    `deviation_min` and `deviation_mean` over dimensions; `effective_rank`, the exponential of the
    entropy of the normalised singular values, from 1 (collapsed) to Z.

    Source: Roy, Vetterli (2007), "The effective rank".
    """
    deviations = latents.std(dim=0)
    values = torch.linalg.svdvals(latents - latents.mean(dim=0))
    share = values / values.sum()
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return {
        "deviation_min": float(deviations.min()),
        "deviation_mean": float(deviations.mean()),
        "effective_rank": float(entropy.exp()),
    }
