"""Task term: how far a quantity is from the goal."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Distance:
    """Euclidean distance from a read-out quantity to the directive's goal, in its unit.

    Source: task objective, LeCun (2022) sec. 3.2 ("Objective-Driven AI": distance to goal); a
    terminal cost, Rawlings, Mayne, Diehl (2017), Model Predictive Control, sec. 1.3.
    """

    class Config(Settings):
        """`quantity` is a readout with as many components as the goal.

        The last imagined step counts as `terminal` further ones: with many, a plan may first lead
        away from the goal, if it ends nearer.
        """

        name: str = "distance"
        quantity: str
        weight: float = 1.0
        terminal: float = Field(default=0.0, ge=0)

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Measure `config.quantity` against the goal."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self.terminal = config.terminal

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the distance at every imagined step, [E B K H], the last one's several times."""
        error = rollout.quantities[self.quantity] - directive.goal[:, None, None, :]
        distance: Tensor = torch.linalg.vector_norm(error, dim=-1)
        last = (1.0 + self.terminal) * distance[..., -1:]
        return torch.cat((distance[..., :-1], last), dim=-1)
