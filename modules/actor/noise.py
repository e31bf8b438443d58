"""Noise that plans are drawn with: its colour, and the tape it is drawn on."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from agent.core.noise import coloured
from agent.core.settings import Settings


class Noise(Settings):
    """Noise of unit variance along a plan: `white`, `ou` or `coloured`.

    `ou` remembers for `correlation` ticks; the power of `coloured` falls as 1/f^`exponent`. Noise
    with a memory finds long motions with fewer samples. Source: Pinneri et al. (2020), sec. 3.1.
    """

    colour: Literal["white", "ou", "coloured"] = "ou"
    correlation: float = Field(default=6.0, gt=0)
    exponent: float = Field(default=2.0, ge=0)

    def draw(self, count: int, horizon: int, size: int, generator: torch.Generator) -> Tensor:
        """Return noise [count horizon size]."""
        if self.colour == "coloured":
            rows = coloured((horizon, count, size), self.exponent, generator)
            return rows.transpose(0, 1).contiguous()
        white = torch.randn(count, horizon, size, generator=generator)
        if self.colour == "white":
            return white
        return torch.einsum("hg,nga->nha", correlation(horizon, self.correlation), white)


class Tape:
    """One tick's noise, drawn in order and kept: every chunk of agents hears the same.

    What comes first does not depend on how much follows, so that more iterations go on where
    fewer would have stopped.
    """

    def __init__(self, seed: int) -> None:
        """Begin the tape of `seed`."""
        self._generator = torch.Generator().manual_seed(seed)
        self._drawn: list[Tensor] = []

    def __call__(self, index: int, noise: Noise, count: int, plans: Tensor) -> Tensor:
        """Return the noise at `index` [count H A], for plans [... H A]; from 0 on without a gap."""
        assert index <= len(self._drawn), "noise is drawn in order"
        if index == len(self._drawn):
            horizon, size = plans.shape[-2:]
            self._drawn.append(noise.draw(count, horizon, size, self._generator))
        return self._drawn[index]


@cache
def correlation(horizon: int, ticks: float) -> Tensor:
    """Return L [H H] such that L @ white noise has unit variance, correlated over `ticks`.

    The covariance is exp(-|i - j| / ticks), an Ornstein-Uhlenbeck process.
    """
    time = torch.arange(horizon, dtype=torch.float64)
    covariance = torch.exp(-(time[:, None] - time).abs() / ticks)
    root: Tensor = torch.linalg.cholesky(covariance)
    return root.float()
