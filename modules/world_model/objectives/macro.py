"""Macro-actions that vary, and do not repeat each other.

Source: Bardes, Ponce, LeCun (2022), "VICReg", sec. 4.1, here for what stands between two latents.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.objectives.vicreg import covariance, variance
from modules.world_model.views import Views


class Macro:
    """Keeps every dimension of a level's learned macro-actions varying, and all of them different.

    Where commands are given, as those of a body are, nothing depends on it.
    """

    class Config(Settings):
        """Its `weight`, that of the covariance within, and the deviation, in half ranges."""

        weight: float = Field(default=1.0, gt=0)
        covariance: float = Field(default=0.2, ge=0)
        deviation: float = Field(default=0.4, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the two criteria of the windows' first commands, and their deviation."""
        commands = views.commands[:, 0]
        unit = commands / self.config.deviation
        penalty = variance(unit, 1.0) + self.config.covariance * covariance(unit)
        figures = {"macro": float(penalty.detach()), "macro_deviation": float(unit.detach().std())}
        return penalty, figures
