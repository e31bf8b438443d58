"""Guardrail: the magnitude of a quantity stays below a limit."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class AtMost:
    """Every component's magnitude is at most its limit: value = |quantity| - limit <= 0."""

    class Config(Settings):
        """`limit` is in the unit of `quantity`: one for all components, or one for each.

        `tolerance` is the readout's held-out 90 % error that the limit can stand, if given.
        """

        name: str
        quantity: str
        limit: float | list[float]
        tolerance: float | None = Field(default=None, gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold the magnitude of `config.quantity` below `config.limit`.

        Raises InputError if there are several limits, but not one for each component.
        """
        self.name, self.quantity = config.name, config.quantity
        size = next((c.size for c in site.sensors.channels if c.name == config.quantity), None)
        if isinstance(config.limit, list) and size is not None and len(config.limit) != size:
            raise InputError(
                f"guardrail {config.name}: expected one limit or {size}, one for each component of"
                f" {config.quantity}, came {len(config.limit)}: {config.limit}"
            )
        self.limit = tuple(config.limit) if isinstance(config.limit, list) else (config.limit,)
        self.unit = site.sensors.unit(config.quantity)
        limits = ", ".join(f"{limit:g}" for limit in self.limit)
        limits = limits if len(self.limit) == 1 else f"({limits})"
        self.text = f"|{config.quantity}| <= {limits} {self.unit}".strip()
        self.room = math.inf if config.tolerance is None else config.tolerance

    def value(self, rollout: Rollout) -> Tensor:
        """Return |quantity| - limit of the worst component at every imagined step, [E B K H]."""
        quantity = rollout.quantities[self.quantity]
        return (quantity.abs() - quantity.new_tensor(self.limit)).amax(dim=-1)
