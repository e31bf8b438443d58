"""Affect: what the critic's anticipation feels like from one tick to the next.

Source: LeCun (2022) sec. 3.2 and 3.3: emotions as anticipations of outcomes by the critic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Feeling:
    """What is anticipated at a tick, and how that compares; energies, all >= 0.

    `dread` is how far it stands above what was `usual`, its mean over the episode before; `relief`
    how far it fell since the last tick.
    """

    anticipation: float
    usual: float
    dread: float
    relief: float


@dataclass(slots=True)
class Affect:
    """One agent's feelings, tick by tick, in one episode; it only ever reads, nothing obeys it."""

    _sum: float = field(default=0.0, init=False)
    _count: int = field(default=0, init=False)
    _last: float = field(default=0.0, init=False)

    def feel(self, anticipation: float) -> Feeling:
        """Return the feeling of the next tick; of the first one, none: nothing is usual yet."""
        if not self._count:
            self._last = anticipation
        usual = self._sum / self._count if self._count else anticipation
        dread, relief = max(0.0, anticipation - usual), max(0.0, self._last - anticipation)
        self._sum, self._count, self._last = self._sum + anticipation, self._count + 1, anticipation
        return Feeling(anticipation, usual, dread, relief)


def feelings(anticipation: Iterable[float]) -> dict[str, NDArray[np.float64]]:
    """Return every field of `Feeling` over an episode, [T]; what is no number is left out as NaN.

    A tick without an appraisal (a module had failed) leaves everything as it was.
    """
    affect, names = Affect(), ("anticipation", "usual", "dread", "relief")
    felt = [affect.feel(value) if np.isfinite(value) else None for value in anticipation]
    return {n: np.array([np.nan if f is None else getattr(f, n) for f in felt]) for n in names}
