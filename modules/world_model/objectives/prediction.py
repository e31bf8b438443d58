"""The prediction error in latents, several steps ahead: the energy of a JEPA."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Prediction:
    """The mean error of predicted latents, averaged over the steps ahead: squared, or absolute.

    An absolute error weighs what is hard to predict less, so that the rest is predicted sharply
    (V-JEPA: Bardes et al. (2024), sec. 3.1). Alone it is least where every state has the same
    latent: combine it with what forbids that.
    Source: LeCun (2022) sec. 4.4; VICReg's invariance, Bardes, Ponce, LeCun (2022) eq. 5.
    """

    class Config(Settings):
        """Its `weight` in the loss, and the kind of error."""

        weight: float = Field(default=1.0, gt=0)
        error: Literal["squared", "absolute"] = "squared"

    predicts: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config
        self._miss = F.mse_loss if config.error == "squared" else F.l1_loss

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return 1/L sum_h of the mean error of predicted_h against target_h+1."""
        error, steps = torch.zeros(()), views.predicted.unbind(dim=1)
        for h, step in enumerate(steps):
            error = error + self._miss(step, views.targets[:, h + 1])
        penalty = error / len(steps)
        return penalty, {"prediction": float(penalty.detach())}
