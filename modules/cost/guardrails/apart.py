"""Guardrail: two bodies keep their distance."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Apart:
    """Two positions are at least a distance apart: value = limit - |quantity - other| <= 0."""

    class Config(Settings):
        """`quantity` and `other` are readouts of one size and unit, as is `limit`.

        `tolerance` is the held-out 90 % error of both readouts together that the limit can stand:
        `limit`, if not given.
        """

        name: str
        quantity: str
        other: str
        limit: float = Field(gt=0)
        tolerance: float | None = Field(default=None, gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Keep them apart. Raises InputError if they cannot be subtracted."""
        self.name, self.limit = config.name, config.limit
        self.quantities = (config.quantity, config.other)
        found = [c for c in site.sensors.channels if c.name in self.quantities]
        if len({(c.size, c.unit) for c in found}) > 1:
            came = " and ".join(f"{c.name}[{c.size}] {c.unit}" for c in found)
            raise InputError(
                f"guardrail {self.name}: expected two quantities of one size and unit, came {came}"
            )
        self.unit = site.sensors.unit(config.quantity)
        self.room = config.limit if config.tolerance is None else config.tolerance
        self.text = f"{config.quantity} {self.limit:g} {self.unit} from {config.other}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return limit - distance at every imagined step, [E B K H]."""
        one, other = (rollout.quantities[name] for name in self.quantities)
        gap: Tensor = torch.linalg.vector_norm(one - other, dim=-1)
        return self.limit - gap
