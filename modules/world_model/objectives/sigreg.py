"""SIGReg: latents whose every projection is distributed as a unit Gaussian."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class SIGReg:
    """Pulls the distribution of latents towards N(0, I), along random directions.

    Judges the latents at the windows' start. Without the test statistic's factor n, so that
    `weight` means the same at every batch size. Source: Balestriero, LeCun (2025), LeJEPA, sec. 4;
    Epps, Pulley (1983), a test of normality by the characteristic function.
    """

    class Config(Settings):
        """Its `weight`, how many `directions` a step, and the quadrature: knots over +-`limit`."""

        weight: float = Field(default=10.0, gt=0)
        directions: int = Field(default=256, ge=1)
        knots: int = Field(default=17, ge=3)
        limit: float = Field(default=5.0, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the statistic, averaged over directions drawn from the step's seed."""
        latents = views.latents[:, 0]
        generator = torch.Generator().manual_seed(views.seed)
        shape = (latents.shape[1], self.config.directions)
        ways = torch.randn(shape, generator=generator).to(latents)
        projected = latents @ (ways / ways.norm(dim=0))
        penalty = epps_pulley(projected, self.config.knots, self.config.limit).mean()
        return penalty, {"sigreg": float(penalty.detach())}


def epps_pulley(samples: Tensor, knots: int = 17, limit: float = 5.0) -> Tensor:
    """Return how far each column of samples [n M] is from N(0, 1): 0 if it is that, [M].

    The integral over t of |1/n sum_k exp(i t x_k) - exp(-t^2/2)|^2 exp(-t^2), by trapezoids.
    """
    t = torch.linspace(-limit, limit, knots, dtype=samples.dtype, device=samples.device)
    unit, window = torch.exp(-t.square() / 2), torch.exp(-t.square())
    angles = samples.unsqueeze(-1) * t
    real, imaginary = angles.cos().mean(dim=0) - unit, angles.sin().mean(dim=0)
    found: Tensor = torch.trapezoid((real.square() + imaginary.square()) * window, t, dim=-1)
    return found
