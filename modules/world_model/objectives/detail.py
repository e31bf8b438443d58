"""A level above must be able to say what it means in the terms of the level below.

Source: LeCun (2022) sec. 4.5, criterion (a), that a code tells as much as possible of what it
encodes; here what it encodes are the latents of the level below, not sensors.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Detail(nn.Module):
    """Asks a level's latent for the pooled latent of the level below, linearly.

    What the level below holds large and can be said shortly survives the abstraction. At the lowest
    level, which encodes sensors, there is nothing to ask.
    """

    class Config(Settings):
        """Its `weight`."""

        weight: float = Field(default=1.0, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained map for the site's latent, and what it encodes."""
        super().__init__()
        self.config = config
        self.head = nn.Linear(site.latent, site.below) if site.below else None

    def forward(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return mse(head(s_h), what s_h encodes), 0 at the lowest level."""
        if views.below is None or self.head is None:
            return views.latents.new_zeros(()), {"detail": 0.0}
        penalty = F.mse_loss(self.head(views.latents), views.below)
        return penalty, {"detail": float(penalty.detach())}
