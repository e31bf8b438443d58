"""iCEM: the cross-entropy method made to work with few samples.

Source: Pinneri et al. (2020), "Sample-efficient cross-entropy method for real-time planning".
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


class ICEM(Planner):
    """iCEM: coloured noise, elites carried from tick to tick, fewer samples every iteration.

    Elites of earlier iterations stay in the race without being judged again, and the mean is a
    candidate in every wave, not in the last one alone: so a longer search only goes on. Sampling
    begins around the best of the last tick and the policy's proposal.
    """

    class Config(Planner.Config):
        """Sampling effort and shape.

        `samples` shrink by the factor `decay` every iteration, to no fewer than twice the `elites`,
        of which the share `kept` is carried to the next tick. `deviation` is in units of half the
        actuator range; `momentum` how much of the last mean and deviation stays at a refit.
        """

        samples: int = Field(default=64, ge=1)
        iterations: int = Field(default=3, ge=1)
        elites: int = Field(default=10, ge=1)
        decay: float = Field(default=1.25, ge=1)
        kept: float = Field(default=0.3, ge=0, le=1)
        deviation: float = Field(default=0.6, gt=0)
        momentum: float = Field(default=0.1, ge=0, lt=1)
        noise: Noise = Noise(colour="coloured")

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError for more elites than samples."""
        carried = max(1, round(config.kept * config.elites))
        super().__init__(config, site, keep=config.elites, carried=carried)
        self._enough(config.elites, config.samples)
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        ends = torch.stack((seeds[:, 0], seeds[:, -1]), dim=1)
        around = Gaussian(ends, (config.deviation * self.extent).expand_as(seeds[:, 0]))
        for index in range(config.iterations):
            least = min(2 * config.elites, config.samples)
            count = max(round(config.samples * config.decay**-index), least)
            samples = around.samples(tape(index, config.noise, count, seeds))
            if index:
                samples = torch.cat((samples, around.centres), dim=1)
            told = yield Wave(self._within(samples))
            around = around.refit(told.known, config.momentum)
