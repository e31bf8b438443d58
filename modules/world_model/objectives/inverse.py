"""Inverse dynamics: two successive latents tell which command was between them."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Inverse(nn.Module):
    """Keeps in the latent what the body can act on, by asking for the command back.

    Source: Pathak, Agrawal, Efros, Darrell (2017) sec. 2.2.
    """

    class Config(Settings):
        """Its `weight`, and the `width` of its head's hidden layer."""

        weight: float = Field(default=2.0, gt=0)
        width: int = Field(default=64, ge=1)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained head for the site's latent and actuators."""
        super().__init__()
        self.config = config
        self.head = nn.Sequential(
            nn.Linear(2 * site.latent, config.width),
            nn.SiLU(),
            nn.Linear(config.width, site.actuators.size),
        )

    def forward(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return mse(head(s_h, s_h+1), command_h)."""
        pairs = torch.cat((views.latents[:, :-1], views.latents[:, 1:]), dim=-1)
        penalty = F.mse_loss(self.head(pairs), views.commands)
        return penalty, {"inverse": float(penalty.detach())}
