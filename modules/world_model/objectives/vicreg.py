"""VICReg's regularisers: latents that vary, and do not repeat each other.

Source: Bardes, Ponce, LeCun (2022), "VICReg", sec. 4.1. Its invariance is the part `prediction`.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views

EPSILON = 1e-4


class VICReg:
    """Keeps every latent dimension varying, and no two of them saying the same.

    Judges the latents at the windows' start, which are independent of each other.
    """

    class Config(Settings):
        """Weights of the whole and of its two criteria, and the deviation to be reached."""

        weight: float = Field(default=1.0, gt=0)
        variance: float = Field(default=1.0, ge=0)
        covariance: float = Field(default=0.2, ge=0)
        deviation: float = Field(default=1.0, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the two criteria, and each before its own weight."""
        latents = views.latents[:, 0]
        first, second = variance(latents, self.config.deviation), covariance(latents)
        penalty = self.config.variance * first + self.config.covariance * second
        return penalty, {"variance": float(first.detach()), "covariance": float(second.detach())}


def variance(latents: Tensor, deviation: float) -> Tensor:
    """Return the mean shortfall of each dimension's deviation, of latents [n Z]; VICReg eq. 1."""
    spread = (latents.var(dim=0) + EPSILON).sqrt()
    return (deviation - spread).relu().mean()


def covariance(latents: Tensor) -> Tensor:
    """Return the squared off-diagonal covariances of latents [n Z], over Z; VICReg eq. 3-4."""
    centred = latents - latents.mean(dim=0)
    matrix = centred.T @ centred / (len(latents) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / latents.shape[1]
