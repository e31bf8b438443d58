"""Intrinsic term: hunger, for a reserve that acting depletes."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Energy:
    """Grows with the square of what a reserve lacks: 0 from `sated` on, 1 when it is empty.

    Homeostasis: the emptier the reserve, the dearer what depletes it further. The reserve is what
    a sensor shows of it, such as a battery's charge; how acting depletes it, the model has to know.
    Source: intrinsic cost ("hunger"), LeCun (2022) sec. 3.2; Keramati, Gutkin (2014), drive as
    distance from a set point.
    """

    class Config(Settings):
        """`quantity` is a readout; at `sated`, in its unit, there is no hunger."""

        name: str = "energy"
        quantity: str
        sated: float = Field(default=1.0, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Feel how much `config.quantity` lacks."""
        self.name, self.weight = config.name, config.weight
        self.quantity, self._sated = config.quantity, config.sated

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the hunger at every imagined step, of all components together, [E B K H]."""
        lack = 1.0 - rollout.quantities[self.quantity] / self._sated
        return lack.clamp(0.0, 1.0).square().sum(dim=-1)
