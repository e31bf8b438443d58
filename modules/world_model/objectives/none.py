"""No regulariser: what collapse looks like, for comparison."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class NoneObjective:
    """Adds nothing; beside `prediction` alone, the latents collapse.

    A constant latent is perfectly predictable, so with `target: shared` nothing else is learned; a
    detached or slow target delays that and does not forbid it. It stands in a list to say so.
    Source: LeCun (2022) sec. 4.3.
    """

    class Config(Settings):
        """A `weight` as all have, of nothing."""

        weight: float = Field(default=1.0, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return zero, without a gradient."""
        return views.latents.new_zeros(()), {}
