"""Intrinsic term: what acting costs."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Effort:
    """Mean squared command, as a share of the actuator limits (0 at rest, 1 at full command).

    Source: intrinsic energy, LeCun (2022) sec. 3.2.
    """

    class Config(Settings):
        """`weight` prices full command on all actuators for one tick."""

        name: str = "effort"
        weight: float = 0.01

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Scale commands by the actuator limits of `site`."""
        self.name, self.weight = config.name, config.weight
        low, high = site.actuators.bounds()
        self._scale = torch.maximum(low.abs(), high.abs())

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the effort of every imagined step, [1 B K H]: it is known, not predicted."""
        return (rollout.actions / self._scale).square().mean(dim=-1)[None]
