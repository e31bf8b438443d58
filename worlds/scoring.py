"""What the scorers of all worlds share: a score, and a stay for so many ticks in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worlds.simulation import Array


@dataclass(frozen=True, slots=True)
class Score:
    """What truly happened, of one episode per row; what it means in a world, its `Scorer` says.

    `reached`: what was asked was done. `reach_tick`: the tick in which that began (-1: never).
    `contacts` and `speeding` count ticks in which, at any physics step, something was touched or
    was too fast; `counted` is False where nobody counts, `judged` where nobody says whether what
    was asked is done (`reached` is then False, and no news). `closest_m` is the least distance to
    what must not be touched, `distance_m` the last one to the goal, where there is one. `more` are
    figures of the world's own, by name.
    """

    reached: NDArray[np.bool_]
    reach_tick: NDArray[np.int64]
    contacts: NDArray[np.int64]
    speeding: NDArray[np.int64]
    closest_m: Array
    distance_m: Array | None = None
    counted: bool = True
    judged: bool = True
    more: Mapping[str, Array] = field(default_factory=dict)


class Stay:
    """Says since when rows have been where they should, once that lasted for `ticks` in a row.

    `first` [B] is the tick in which the first such stay began (-1: none yet), whatever came after;
    `tick` the last one that was looked at (-1: none yet).
    """

    def __init__(self, batch: int, ticks: int) -> None:
        """Wait for stays of `ticks` in `batch` rows."""
        self._wanted, self._held = ticks, np.zeros(batch, dtype=np.int64)
        self.first, self.tick = np.full(batch, -1), -1

    def look(self, there: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Take where rows are in the next tick, [B]; return `first`."""
        self.tick += 1
        self._held = np.where(there, self._held + 1, 0)
        fresh = (self._held >= self._wanted) & (self.first < 0)
        self.first[fresh] = self.tick - self._wanted + 1
        return self.first


__all__ = ["Score", "Stay"]
