"""Intrinsic term: the pain of impact."""

from __future__ import annotations

from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Pain:
    """Grows with the predicted impact force: force / (force + threshold), in [0, 1).

    Source: intrinsic energy ("pain"), LeCun (2022) sec. 3.2.
    """

    class Config(Settings):
        """`quantity` is a readout in newtons; half of the worst pain is felt at `threshold_N`."""

        name: str = "pain"
        quantity: str = "impact"
        threshold_N: float = 5.0  # noqa: N815 - unit
        weight: float = 1.0

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Feel `config.quantity`."""
        self.name, self.weight = config.name, config.weight
        self.quantity, self._threshold = config.quantity, config.threshold_N

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the pain of every imagined step, [E B K H]."""
        force = rollout.quantities[self.quantity].clamp_min(0.0).sum(dim=-1)
        return force / (force + self._threshold)
