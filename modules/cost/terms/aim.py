"""Task term: how far a quantity is from what the sub-goal at hand asks of it."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Aim:
    """Euclidean distance from a read-out quantity to where the sub-goal wants it, in its unit.

    Less the slack. Nothing where the sub-goal asks nothing of it. The configurator `task_graph`
    says what is asked, of any readout, whatever quantity the task's own goal is in.
    Source: objectives set by the configurator, LeCun (2022) sec. 3.2 and 4.6.
    """

    class Config(Settings):
        """`quantity` is a readout; what is within `slack`, in its unit, is near enough."""

        name: str = "aim"
        quantity: str
        slack: float = Field(default=0.0, ge=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Watch `config.quantity`."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self._slack = config.slack
        scalars = site.sensors.scalars
        self._where = scalars[config.quantity] if config.quantity in scalars.names else slice(0, 0)

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the distance at every imagined step, [E B K H]."""
        there, subgoals = rollout.quantities[self.quantity], directive.subgoals
        if subgoals is None:
            return there.new_zeros(there.shape[:-1])
        aim, aimed = subgoals.aim[:, self._where], subgoals.aimed[:, self._where]
        gap = torch.where(aimed[:, None, None], there - aim[:, None, None], 0.0)
        distance: Tensor = torch.linalg.vector_norm(gap, dim=-1)
        return (distance - self._slack).clamp(min=0.0) if self._slack else distance
