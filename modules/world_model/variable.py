"""What a latent variable of the world model is, and how a step of training finds its value.

Source: LeCun (2022) sec. 4.4-4.6: z stands for what the present does not tell of the future, and
has to carry as little information as possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

Energy = Callable[[Tensor], Tensor]
"""The mean squared error [...] of what is predicted with z [... D], over dimensions and networks.

All networks are asked, so that a value of z means the same to each: they share one prior.
"""


class LatentVariable(Protocol):
    """A part of the slot `latent_variable`, an `nn.Module` built as `Class(config, site)`.

    Leading axes `...` are any; `states` [... Z], `actions` [... A] in units of half the actuators'
    range, z [... D]. Rows are independent of each other. `size` is D, `draws` how many futures an
    imagination samples. Information is counted in nats, of one tick.
    """

    config: Any
    size: int
    draws: int

    def infer(
        self,
        states: Tensor,
        actions: Tensor,
        after: Tensor,
        energy: Energy,
        seed: int | None = None,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Return z that explains `after` [... Z], and the nats [...] that it carries.

        `energy(z)` says how well. Whoever blurs z in training draws the noise from `seed`; without
        one there is none. Early in training only a `share` of the price of z is in force, so that
        no value is given up before it is of use. Only the part's own weights get gradients.
        """
        ...

    def penalty(self, nats: Tensor) -> Tensor:
        """Return what a batch of inferred values costs in training, a scalar."""
        ...

    def sample(self, states: Tensor, actions: Tensor, share: Tensor) -> Tensor:
        """Return z drawn from the prior, a function of `share` [...], uniform in (0, 1)."""
        ...

    def sweep(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return C values to try, z [C ... D], and -log of the prior's share of each, [C ...]."""
        ...
