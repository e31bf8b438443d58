"""Guardrail: a quantity stays above a limit."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class AtLeast:
    """Every component of a quantity is at least `limit`: value = limit - quantity <= 0."""

    class Config(Settings):
        """`limit` is in the unit of `quantity`.

        `tolerance` is the readout's held-out 90 % error that the limit can stand, if given.
        """

        name: str
        quantity: str
        limit: float
        tolerance: float | None = Field(default=None, gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold `config.quantity` above `config.limit`."""
        self.name, self.quantity, self.limit = config.name, config.quantity, config.limit
        self.unit = site.sensors.unit(self.quantity)
        self.text = f"{self.quantity} >= {self.limit:g} {self.unit}"
        self.room = math.inf if config.tolerance is None else config.tolerance

    def value(self, rollout: Rollout) -> Tensor:
        """Return limit - quantity of the lowest component at every imagined step, [E B K H]."""
        return self.limit - rollout.quantities[self.quantity].amin(dim=-1)
