"""Intrinsic term: the drive to stand upright."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Upright:
    """How far a height falls short of standing, as a share: 0 upright, 1 flat on the floor.

    Of a body that stands on a foot it grows with the square of every joint's lean.
    Source: intrinsic cost ("standing up"), LeCun (2022) sec. 3.2.
    """

    class Config(Settings):
        """`quantity` is a readout in metres, the height of head or hip; standing, `standing_m`."""

        name: str = "upright"
        quantity: str
        standing_m: float = Field(default=1.0, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Want `config.quantity` to be high."""
        self.name, self.weight = config.name, config.weight
        self.quantity, self._standing = config.quantity, config.standing_m

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the shortfall at every imagined step, of the lowest component, [E B K H]."""
        height = rollout.quantities[self.quantity].amin(dim=-1)
        return (1.0 - height / self._standing).clamp_min(0.0)
