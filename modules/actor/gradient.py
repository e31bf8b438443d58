"""Planning by gradient: plans descend their own energy through the world model.

Source: LeCun (2022) sec. 3.1.2, Mode-2 with a differentiable world model and cost.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.descent import Descent
from modules.actor.noise import Noise, Tape
from modules.actor.planner import Planner
from modules.actor.sampling import Pool
from modules.actor.search import Waves
from modules.actor.updates import Gaussian


class Gradient(Planner):
    """Adam through the world model: warm start, proposal, rest and random restarts descend at once.

    The world model and the cost must be differentiable.
    """

    class Config(Planner.Config):
        """How many plans descend, and how.

        `restarts` are drawn around warm start and proposal, `deviation` halves of the actuators'
        range away; all take `iterations` steps of `descent`.
        """

        restarts: int = Field(default=5, ge=1)
        iterations: int = Field(default=15, ge=1)
        deviation: float = Field(default=0.6, gt=0)
        noise: Noise = Noise()
        descent: Descent = Descent()

    posts: ClassVar[type] = Plan
    descends: ClassVar[bool] = True

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config = self.config
        around = Gaussian(seeds, (config.deviation * self.extent).expand_as(seeds[:, 0]))
        noise = tape(0, config.noise, config.restarts, seeds)
        starts = torch.cat((known.actions, self._within(around.samples(noise))), dim=1)
        yield from config.descent.waves(starts, config.iterations, self._within, self.extent)
