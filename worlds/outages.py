"""Sensors that drop out: for a while a sensor shows nothing, and says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agent.core.spec import Layout
from worlds.draws import Draws

STREAM = 3
"""Keeps these draws apart from those of starts, goals and random policies of the same seed."""


class Outages:
    """Which sensors are out, row by row and tick by tick: a function of seed and tick alone.

    In every tick each working sensor fails with probability `chance`, and is then out for `ticks`
    ticks, that one included.
    """

    def __init__(self, sensors: Layout, batch: int, chance: float, ticks: int) -> None:
        """Begin as if every row had been reset with its own index as the seed."""
        self._chance, self._ticks = chance, ticks
        sizes = torch.tensor([c.size for c in sensors.channels])
        self._sensor = torch.arange(len(sizes)).repeat_interleave(sizes)
        self._left = np.zeros((batch, len(sizes)), dtype=np.int64)
        self.reset(range(batch))

    def reset(self, seeds: Sequence[int]) -> None:
        """Start one episode per seed, with every sensor at work."""
        self._left[:] = 0
        generators = [np.random.default_rng((s, STREAM)) for s in seeds]
        self._draws = Draws(generators, self._left.shape[1])

    def apply(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next tick's values [B O], 0 where a sensor is out, and validity [B S]."""
        if self._chance == 0.0:
            return values, torch.ones(self._left.shape, dtype=torch.bool)
        draws = self._draws.next()
        self._left = np.maximum(self._left - 1, 0)
        self._left[(self._left == 0) & (draws < self._chance)] = self._ticks
        valid = torch.from_numpy(self._left == 0)
        return values.where(valid[:, self._sensor], torch.zeros(())), valid
