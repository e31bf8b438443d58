"""The prediction error in latents, several steps ahead: the energy of a JEPA."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Prediction:
    """The mean squared error of predicted latents, averaged over the steps ahead.

    Alone it is least where every state has the same latent: combine it with what forbids that.
    Source: LeCun (2022) sec. 4.4; VICReg's invariance, Bardes, Ponce, LeCun (2022) eq. 5.
    """

    class Config(Settings):
        """Its `weight` in the loss."""

        weight: float = Field(default=1.0, gt=0)

    predicts: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return 1/L sum_h mse(predicted_h, target_h+1)."""
        error, steps = torch.zeros(()), views.predicted.unbind(dim=1)
        for h, step in enumerate(steps):
            error = error + F.mse_loss(step, views.targets[:, h + 1])
        penalty = error / len(steps)
        return penalty, {"prediction": float(penalty.detach())}
