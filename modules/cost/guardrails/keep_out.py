"""Guardrail: a quantity stays outside a region."""

from __future__ import annotations

from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from modules.cost.guardrails.regions import Region


class KeepOut(Region):
    """The quantity stays out of a box or ball: value = how deep inside it is <= 0.

    It is judged where steps end: a thin region that a step can cross has to be made thicker.
    """

    def __init__(self, config: Region.Config, site: Site) -> None:
        """Keep `config.quantity` outside."""
        super().__init__(config, site)
        self.text = f"{self.quantity} outside {self.where}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return the depth inside the region at every imagined step, [E B K H]."""
        return -self.beyond(rollout.quantities[self.quantity])
