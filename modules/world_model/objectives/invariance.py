"""Invariance: two views of one moment have one code.

Source: Bardes, Ponce, LeCun (2022), "VICReg", eq. 5; LeCun (2022) sec. 4.5: what the views do not
share is not represented.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Invariance:
    """Draws the codes of a moment's two views together, beside what keeps codes varying.

    The views are those of an experience that offers a second one (`train.shuffled`): codes become
    blind to what differs between them, and to that alone. With one view it costs nothing, unless
    targets are those of a slow copy.
    """

    class Config(Settings):
        """`weight` in the loss."""

        weight: float = Field(default=1.0, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the mean squared difference of the two views' codes."""
        penalty = F.mse_loss(views.latents, views.targets)
        return penalty, {"invariance": float(penalty.detach())}
