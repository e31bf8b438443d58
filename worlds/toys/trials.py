"""Evaluation of `toys`: nothing is asked, so nothing is reached; `clips` is what tests an agent.

Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.scoring import Score
from worlds.toys.world import Toys

EVALUATION_SEEDS = 1_000_000


def tasks(seeds: Sequence[int]) -> Task:
    """Return the empty goals [B 0] of episodes that are only watched."""
    return Task(torch.zeros(len(seeds), 0))


class Scorer:
    """Looks on beside an agent that looks on."""

    def __init__(self, world: Toys, task: Task) -> None:
        """Score the episodes of `world`."""
        self._batch = world.batch

    def look(self) -> None:
        """Nothing is counted."""

    @property
    def done(self) -> NDArray[np.bool_]:
        """No episode is over before its time, [B]."""
        return np.zeros(self._batch, dtype=np.bool_)

    def score(self) -> Score:
        """Return that nothing was reached and nothing broken."""
        none = np.zeros(self._batch, dtype=np.int64)
        return Score(self.done, none - 1, none, none, np.full(self._batch, np.inf))
