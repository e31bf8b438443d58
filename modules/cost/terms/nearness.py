"""Intrinsic term: the fear of coming too close."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Nearness:
    """Grows as a distance falls short of comfort: 0 from there on, 1 at contact, more beyond.

    A price, not a limit: where something must never happen, name a guardrail.
    Source: intrinsic energy ("fear" anticipates pain), LeCun (2022) sec. 3.2.
    """

    class Config(Settings):
        """`quantity` is a readout in metres: a distance, or where something is seen.

        Things touch at `contact_m`; from `comfort_m` on they are far enough apart.
        """

        name: str = "nearness"
        quantity: str
        contact_m: float = Field(default=0.0, ge=0)
        comfort_m: float = Field(default=0.1, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Fear the nearness of `config.quantity`. Raises ValueError if comfort is no farther."""
        if config.comfort_m <= config.contact_m:
            raise ValueError(
                f"expected comfort_m above contact_m, {config.contact_m}, came {config.comfort_m}"
            )
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self._comfort, self._width = config.comfort_m, config.comfort_m - config.contact_m

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the fear at every imagined step, [E B K H]."""
        seen = rollout.quantities[self.quantity]
        distance = seen[..., 0] if seen.shape[-1] == 1 else torch.linalg.vector_norm(seen, dim=-1)
        fear: Tensor = (self._comfort - distance).clamp_min(0.0) / self._width
        return fear
