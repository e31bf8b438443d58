"""A hierarchical JEPA: levels of prediction at different time scales.

Source: LeCun (2022) sec. 4.7, fig. 15: JEPA-1 predicts short-term from detailed latents, JEPA-2
longer-term from more abstract ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import Field
from torch import nn

from agent.core.messages import Forecast
from agent.core.protocols import Site
from modules.world_model.abstraction import Level
from modules.world_model.jepa import JEPA
from modules.world_model.variable import LatentVariable


class HJEPA(JEPA):
    """A `jepa` that predicts tick by tick, and levels above it that predict further.

    What the runtime asks of a world model, the lowest level answers. The levels above offer the
    same to whoever plans there: an imagination of their own, in latents and actions of their own.
    """

    class Config(JEPA.Config):
        """As `jepa`, and the `levels` above, the nearest first."""

        levels: list[Level.Config] = Field(min_length=1)

    posts: ClassVar[type] = Forecast

    def __init__(
        self,
        config: Config,
        site: Site,
        latent_variable: LatentVariable | None = None,
        above: Sequence[Callable[[Site], LatentVariable] | None] = (),
    ) -> None:
        """Build untrained levels; `above` builds the latent variables of those that have one.

        Raises ValueError if their time scales do not divide, or if a plan could outlive the one
        that it follows.
        """
        super().__init__(config, site, latent_variable)
        made: list[Level] = []
        for one, hidden in zip(config.levels, above or (None,) * len(config.levels), strict=True):
            below, ticks = (made[-1].site, made[-1].ticks) if made else (site, 1)
            made.append(Level(one, below, ticks, hidden))
        for lower, upper in itertools.pairwise(made):
            short, long = (level.ticks * level.follow for level in (lower, upper))
            if long % short:
                raise ValueError(
                    f"levels.follow: expected plans above to last a whole number of those below,"
                    f" came {long} ticks above {short}; choose `follow` so that they end together"
                )
        self.levels = nn.ModuleList(made)
