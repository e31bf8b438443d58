"""Guardrail: a quantity changes slowly."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Rate:
    """No component changes faster than a limit: value = |change per tick| / tick - limit <= 0.

    The first imagined step counts from where the body is now, so the command that goes out next is
    judged too. Of a speed it limits the acceleration, of an acceleration the jerk.
    """

    class Config(Settings):
        """`limit` is in the unit of `quantity` per second."""

        name: str
        quantity: str
        limit: float = Field(gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold the rate of `config.quantity` below `config.limit`."""
        self.name, self.quantity, self.limit = config.name, config.quantity, config.limit
        self.unit, self._rate = f"{site.sensors.unit(config.quantity)}/s", site.rate_hz
        self.text = f"rate of {self.quantity} <= {self.limit:g} {self.unit}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return the fastest component's rate - limit at every imagined step, [E B K H]."""
        quantity, before = rollout.quantities[self.quantity], rollout.past.get(self.name)
        first = quantity[:, :, :, :1]
        if before is not None:
            first = before[:, None, None].expand_as(first)
        change = quantity - torch.cat((first, quantity[:, :, :, :-1]), dim=3)
        return change.abs().amax(dim=-1) * self._rate - self.limit

    def remember(self, now: Rollout) -> Tensor:
        """Return the quantity as it is now, [B n]."""
        return now.quantities[self.quantity][0, :, 0, 0]
