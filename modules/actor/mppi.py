"""Model predictive path integral control: samples averaged by how little they cost.

Source: Williams et al. (2017), "Information theoretic MPC for model-based reinforcement learning".
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
from modules.actor.updates import Gaussian, softmax


class MPPI(Planner):
    """MPPI: the mean moves to the average of the samples, weighed by exp(-energy / temperature).

    The mean begins at the best of warm start, proposal and rest; every mean is itself a candidate,
    the last one too, so that what goes out has been judged.
    """

    class Config(Planner.Config):
        """Sampling effort and shape.

        `deviation` is in units of half the actuator range and shrinks by the factor `anneal` every
        iteration (1: as in the paper); `temperature` is in deviations of the energies weighed.
        """

        samples: int = Field(default=64, ge=1)
        iterations: int = Field(default=3, ge=1)
        temperature: float = Field(default=0.2, gt=0)
        deviation: float = Field(default=0.6, gt=0)
        anneal: float = Field(default=0.7, gt=0, le=1)
        noise: Noise = Noise()

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        mean = known.best(1).actions
        for index in range(config.iterations):
            deviation = config.deviation * config.anneal**index * self.extent
            around = Gaussian(mean, deviation.expand_as(mean[:, 0]))
            samples = around.samples(tape(index, config.noise, config.samples, seeds))
            told = yield Wave(self._within(torch.cat((samples, mean), dim=1)))
            weights = softmax(told.fresh, config.temperature)
            mean = torch.einsum("bk,bkha->bha", weights, told.fresh.actions).unsqueeze(1)
        yield Wave(self._within(mean))
