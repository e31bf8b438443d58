"""The cross-entropy method: sample, refit to the best, repeat.

Source: Rubinstein (1999); Pinneri et al. (2020), iCEM, for noise with a memory and warm starts.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.noise import Noise, Tape
from modules.actor.planner import Planner
from modules.actor.sampling import Pool
from modules.actor.search import Wave, Waves
from modules.actor.updates import Gaussian


class CEM(Planner):
    """The cross-entropy method: samples, refits to the best of all so far, and repeats.

    The first iteration samples around the warm start and the policy's proposal alike.
    """

    class Config(Planner.Config):
        """Sampling effort and shape.

        `deviation` is in units of half the actuator range; `correlation` the noise's memory in
        ticks; `momentum` how much of the last mean and deviation stays at a refit.
        """

        samples: int = Field(default=64, ge=2)
        iterations: int = Field(default=3, ge=1)
        elites: int = Field(default=10, ge=1)
        deviation: float = Field(default=0.6, gt=0)
        correlation: float = Field(default=6.0, gt=0)
        momentum: float = Field(default=0.1, ge=0, lt=1)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError for more elites than samples."""
        super().__init__(config, site, keep=config.elites)
        self._enough(config.elites, config.samples)
        self.config, self._noise = config, Noise(correlation=config.correlation)

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        around = Gaussian(seeds, (config.deviation * self.extent).expand_as(seeds[:, 0]))
        for index in range(config.iterations):
            noise = tape(index, self._noise, config.samples // 2 * 2, seeds)
            told = yield Wave(self._within(around.samples(noise)))
            around = around.refit(told.known, config.momentum)
