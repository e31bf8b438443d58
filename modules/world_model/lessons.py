"""What a learner needs of those that it trains, and of the experience that it learns from.

Source: LeCun (2022) sec. 4.5-4.6.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Encoder(Protocol):
    """What the learner needs of perception: a trainable `nn.Module` with `encode`."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensors [..., O]; differentiable."""
        ...


@runtime_checkable
class Augmenting(Protocol):
    """An encoder that wants to see its sensors changed while it is trained."""

    def augment(self, values: Tensor, seed: int) -> Tensor:
        """Return sensors [..., O], changed as a function of `seed`."""
        ...


@runtime_checkable
class Above(Protocol):
    """An encoder of what a level below encoded."""

    def below(self, values: Tensor) -> Tensor:
        """Return the latents [..., Zb] that `values` hold, to be encoded."""
        ...


@runtime_checkable
class Compressing(Protocol):
    """A world model whose actions are codes of what is done, which it learns."""

    def compress(self, actions: Tensor, seed: int | None = None) -> Tensor:
        """Return actions [..., A] of what is done [..., n Ab]; blurred if there is a `seed`."""
        ...


class Experience(Protocol):
    """Where minibatches come from."""

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sensors [count length+1 O] and commands [count length A]."""
        ...


@runtime_checkable
class Augmented(Protocol):
    """Experience that shows every moment in two views; what differs should not be represented."""

    def view(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return another view of sensors [n L+1 O]."""
        ...
