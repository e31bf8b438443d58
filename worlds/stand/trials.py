"""Evaluation of `stand`: nothing is asked; what counts is whether the body kept standing.

Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.scoring import Score
from worlds.stand.world import Stand

EVALUATION_SEEDS = 1_000_000
FALLEN_M = 0.6
"""A body whose head is lower than this has fallen."""
SPEED_LIMIT_RAD_S = 3.0

HEIGHT, IMPACT = 5, 8
"""Columns of readings: the head's height and the floor's force."""


def tasks(seeds: Sequence[int]) -> Task:
    """Return the empty goals [B 0]: nobody asks the body to stand."""
    return Task(torch.zeros(len(seeds), 0))


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: the head was never below 0.6 m, at no physics step so far; `reach_tick` is 0 then.
    Contacts are of leg or torso with the floor, too fast is a joint beyond 3 rad/s; `closest_m` is
    the least height of the head. `more` are ticks stood before the first fall and the mean charge
    (a share).
    """

    def __init__(self, world: Stand, task: Task) -> None:
        """Score episodes of `world`; there is nothing in `task`."""
        self.world, n = world, world.batch
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._stood, self._lowest, self._charge = np.zeros(n), np.full(n, np.inf), np.zeros(n)
        self._ticks = 0

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trace = self.world.readings(self.world.simulation.trace)
        self._contacts += (trace[..., IMPACT] > 0.0).any(axis=1)
        self._speeding += (np.abs(trace[..., 2:4]) > SPEED_LIMIT_RAD_S).any(axis=(1, 2))
        self._lowest = np.minimum(self._lowest, trace[..., HEIGHT].min(axis=1))
        self._stood += self._lowest >= FALLEN_M
        self._charge += self.world.charge
        self._ticks += 1

    @property
    def done(self) -> NDArray[np.bool_]:
        """No episode is over before its time, [B]: whoever stands can still fall."""
        return np.zeros(self.world.batch, dtype=np.bool_)

    def score(self) -> Score:
        """Return what happened so far."""
        up = self._lowest >= FALLEN_M
        return Score(
            reached=up,
            reach_tick=np.where(up, 0, -1),
            contacts=self._contacts.copy(),
            speeding=self._speeding.copy(),
            closest_m=self._lowest.copy(),
            more={
                "stood_ticks": self._stood.copy(),
                "charge": self._charge / max(self._ticks, 1),
            },
        )


__all__ = ["EVALUATION_SEEDS", "Score", "Scorer", "tasks"]
