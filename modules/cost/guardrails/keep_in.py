"""Guardrail: a quantity stays inside a region."""

from __future__ import annotations

from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from modules.cost.guardrails.regions import Region


class KeepIn(Region):
    """The quantity stays in a box or ball: value = how far outside it is <= 0."""

    def __init__(self, config: Region.Config, site: Site) -> None:
        """Keep `config.quantity` inside."""
        super().__init__(config, site)
        self.text = f"{self.quantity} in {self.where}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return the distance outside the region at every imagined step, [E B K H]."""
        return self.beyond(rollout.quantities[self.quantity])
