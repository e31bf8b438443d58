"""Barlow Twins: prediction and target agree in every dimension, and no two dimensions do."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views

EPSILON = 1e-8
"""Added to the variance of a dimension, so that one that never varies correlates with nothing."""


class BarlowTwins:
    """Makes the correlation of the first predicted latent with its target the unit matrix.

    Says nothing about the scale of latents, nor about later steps.
    Source: Zbontar, Jing, Misra, LeCun, Deny (2021), eq. 1-2.
    """

    class Config(Settings):
        """Its `weight`, and `redundancy`: how much off-diagonal correlations count.

        The paper's 0.005 is for 8192 dimensions, of which each has as many others.
        """

        weight: float = Field(default=1.0, gt=0)
        redundancy: float = Field(default=0.05, ge=0)

    predicts: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return sum_i (1 - C_ii)^2 + redundancy sum_(i != j) C_ij^2."""
        one, other = _standard(views.predicted[:, 0]), _standard(views.targets[:, 1])
        matrix = one.T @ other / len(one)
        diagonal = matrix.diagonal()
        agreement = (1 - diagonal).square().sum()
        redundancy = matrix.square().sum() - diagonal.square().sum()
        penalty = agreement + self.config.redundancy * redundancy
        return penalty, {
            "agreement": float(agreement.detach()),
            "redundancy": float(redundancy.detach()),
        }


def _standard(latents: Tensor) -> Tensor:
    """Return latents [n Z] with mean 0 and mean square 1 over n in every dimension."""
    centred = latents - latents.mean(dim=0)
    scaled: Tensor = centred / (centred.square().mean(dim=0) + EPSILON).sqrt()
    return scaled
