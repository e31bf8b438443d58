"""Random shooting: sample once, take the best.

Source: Nagabandi et al. (2018), sec. IV-C; Richards (2005), random shooting.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.noise import Noise, Tape
from modules.actor.planner import Planner
from modules.actor.sampling import Pool
from modules.actor.search import Wave, Waves
from modules.actor.updates import Gaussian


class Shooting(Planner):
    """Random shooting: a wave of samples around warm start, proposal and rest; the best is taken.

    It learns nothing from a wave: what the other planners must beat at equal samples.
    """

    class Config(Planner.Config):
        """Sampling effort and shape.

        `deviation` is in units of half the actuator range; every one of `iterations` waves draws
        `samples` anew, in the same way.
        """

        samples: int = Field(default=192, ge=1)
        iterations: int = Field(default=1, ge=1)
        deviation: float = Field(default=0.6, gt=0)
        noise: Noise = Noise()

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        centres = torch.cat((seeds, self.policy.rest.expand_as(seeds[:, :1])), dim=1)
        around = Gaussian(centres, (config.deviation * self.extent).expand_as(seeds[:, 0]))
        for index in range(config.iterations):
            noise = tape(index, config.noise, config.samples, seeds)
            yield Wave(self._within(around.samples(noise)))
