"""Guardrail: what adds up over an episode stays within a budget."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Total:
    """A magnitude summed over time stays below a limit: value = sum |quantity| * tick - limit <= 0.

    Of a power it is the energy spent, of a speed the way gone, of a force the impulse. What was
    spent since the episode began counts; a tick in which nothing was perceived cannot be counted,
    and from then on the budget cannot be said to be kept: it is violated.
    """

    class Config(Settings):
        """`limit` is in the unit of `quantity` times seconds."""

        name: str
        quantity: str
        limit: float = Field(gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold the sum of `config.quantity` below `config.limit`."""
        self.name, self.quantity, self.limit = config.name, config.quantity, config.limit
        unit = site.sensors.unit(config.quantity)
        self.unit = unit.removesuffix("/s") if unit.endswith("/s") else f"{unit} s".strip()
        self._tick = 1.0 / site.rate_hz
        self.text = f"total of {self.quantity} <= {self.limit:g} {self.unit}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return what will have been spent - limit at every imagined step, [E B K H]."""
        spent, before = self._spent(rollout).cumsum(dim=-1), rollout.past.get(self.name)
        return spent - self.limit if before is None else spent + before[:, :, None] - self.limit

    def remember(self, now: Rollout) -> Tensor:
        """Return what has been spent so far, [B 1]."""
        spent, before = self._spent(now)[0, :, :, 0], now.past.get(self.name)
        return spent if before is None else before + spent

    def _spent(self, rollout: Rollout) -> Tensor:
        quantity = rollout.quantities[self.quantity]
        magnitude: Tensor = torch.linalg.vector_norm(quantity, dim=-1)
        return magnitude * self._tick
