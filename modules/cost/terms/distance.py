"""Task term: how far a quantity is from the goal."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Distance:
    """Euclidean distance from a read-out quantity to the directive's goal, in its unit.

    Source: task objective, LeCun (2022) sec. 3.2 ("Objective-Driven AI": distance to goal).
    """

    class Config(Settings):
        """`quantity` is a readout with as many components as the goal."""

        name: str = "distance"
        quantity: str
        weight: float = 1.0

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Measure `config.quantity` against the goal."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the distance at every imagined step, [E B K H]."""
        error = rollout.quantities[self.quantity] - directive.goal[:, None, None, :]
        distance: Tensor = torch.linalg.vector_norm(error, dim=-1)
        return distance
