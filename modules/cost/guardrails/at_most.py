"""Guardrail: the magnitude of a quantity stays below a limit."""

from __future__ import annotations

from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class AtMost:
    """Every component's magnitude is at most `limit`: value = |quantity| - limit <= 0."""

    class Config(Settings):
        """`limit` is in the unit of `quantity`."""

        name: str
        quantity: str
        limit: float

    def __init__(self, config: Config, site: Site) -> None:
        """Hold the magnitude of `config.quantity` below `config.limit`."""
        self.name, self.quantity, self.limit = config.name, config.quantity, config.limit

    def value(self, rollout: Rollout) -> Tensor:
        """Return |quantity| - limit of the largest component at every imagined step, [E B K H]."""
        return rollout.quantities[self.quantity].abs().amax(dim=-1) - self.limit
