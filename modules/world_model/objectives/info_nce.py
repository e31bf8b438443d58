"""InfoNCE: a prediction is nearer to its own target than to the others of the batch."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class InfoNCE:
    """The contrastive baseline: the log loss of telling a prediction's target among n.

    The score is minus the mean squared distance over `temperature`, not a cosine: predictions are
    rolled on, so they should be right, lengths included. Needs no other guard against collapse, but
    batches that grow with Z. Source: van den Oord, Li, Vinyals (2018) eq. 4; LeCun (2022) sec. 4.3
    on what contrast costs.
    """

    class Config(Settings):
        """Its `weight`, and the `temperature` of scores: the squared distance that matters."""

        weight: float = Field(default=1.0, gt=0)
        temperature: float = Field(default=0.1, gt=0)

    predicts: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the cross-entropy over the batch, averaged over steps; log n at chance."""
        ahead, targets = views.predicted.transpose(0, 1), views.targets[:, 1:].transpose(0, 1)
        cross = ahead @ targets.transpose(1, 2)
        lengths = ahead.square().sum(dim=-1)[:, :, None] + targets.square().sum(dim=-1)[:, None]
        scores = (2 * cross - lengths) / (ahead.shape[-1] * self.config.temperature)
        own = torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
        penalty = F.cross_entropy(scores.flatten(0, 1), own.flatten())
        right = (scores.argmax(dim=-1) == own).double().mean()
        return penalty, {"info_nce": float(penalty.detach()), "told_apart": float(right)}
