"""Sample, then descend: a wave finds the valley, gradients its bottom.

Source: Bharadhwaj et al. (2020), "Model-predictive control via cross-entropy and gradient-based
optimization".
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.descent import Descent
from modules.actor.noise import Noise, Tape
from modules.actor.planner import Planner
from modules.actor.sampling import Pool
from modules.actor.search import Wave, Waves
from modules.actor.updates import Gaussian


class Hybrid(Planner):
    """Sample, then descend: every wave of samples is followed by Adam on the best few so far.

    What descended is among the elites that the next wave is refitted to. The world model and the
    cost must be differentiable.
    """

    class Config(Planner.Config):
        """Sampling effort and shape, and how the `best` few descend for `steps` of `descent`.

        `deviation` is in units of half the actuator range; `momentum` how much of the last mean and
        deviation stays at a refit. An iteration is 1 wave of samples and `steps` + 1 of descent.
        """

        samples: int = Field(default=48, ge=2)
        iterations: int = Field(default=2, ge=1)
        elites: int = Field(default=8, ge=1)
        deviation: float = Field(default=0.6, gt=0)
        momentum: float = Field(default=0.1, ge=0, lt=1)
        noise: Noise = Noise()
        best: int = Field(default=4, ge=1)
        steps: int = Field(default=5, ge=1)
        descent: Descent = Descent()

    posts: ClassVar[type] = Plan
    descends: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError for more elites than samples."""
        super().__init__(config, site, keep=max(config.elites, config.best))
        self._enough(config.elites, config.samples)
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        around = Gaussian(seeds, (config.deviation * self.extent).expand_as(seeds[:, 0]))
        for index in range(config.iterations):
            noise = tape(index, config.noise, config.samples, seeds)
            told = yield Wave(self._within(around.samples(noise)))
            few = told.known.first(config.best).actions
            told = yield from config.descent.waves(few, config.steps, self._within, self.extent)
            around = around.refit(told.known.first(config.elites), config.momentum)
