"""Draws of every tick, row by row, that cost next to nothing though each row has its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worlds.simulation import Array

AHEAD = 32
"""Ticks drawn at once: a call of a generator takes as long as a light body's physics."""


class Draws:
    """Numbers in [0, 1) for every row and tick, a function of the row's generator alone.

    They are those that each generator would give tick by tick, whatever `AHEAD` is.
    """

    def __init__(self, generators: Sequence[np.random.Generator], *shape: int) -> None:
        """Draw numbers of `shape` a tick, from one generator for each row."""
        self._generators, self._shape = list(generators), shape
        self._drawn: Array = np.empty((AHEAD, len(self._generators), *shape))
        self._tick = AHEAD

    def next(self) -> Array:
        """Return the numbers [B, *shape] of the next tick."""
        if self._tick == AHEAD:
            for row, generator in enumerate(self._generators):
                self._drawn[:, row] = generator.uniform(size=(AHEAD, *self._shape))
            self._tick = 0
        self._tick += 1
        return self._drawn[self._tick - 1].copy()


__all__ = ["Draws"]
