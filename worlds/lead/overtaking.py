"""Another evaluation of `lead`: to keep a pace of one's own, past a car that may turn either way.

Road, bodies and the hidden driver are those of `lead`; only what is asked and scored differs.
A config names it as `world: {use: "worlds.lead.overtaking:Overtaking"}`, with `goal: velocity`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.lead.trials import CAR_M, EVALUATION_SEEDS
from worlds.lead.trials import Scorer as Following
from worlds.lead.world import Lead
from worlds.scoring import Score
from worlds.simulation import Array

PACE_M_S = (1.4, 1.8)
"""The lead car drives at 0.8 to 1.2 m/s."""


class Overtaking(Lead):
    """The world `lead`, bit for bit, with the tasks and scores of this file."""

    trials = "worlds.lead.overtaking"


def tasks(seeds: Sequence[int]) -> Task:
    """Return the velocities asked for in these episodes, [B 2] in m/s: straight on, at a pace."""
    paces = [np.random.default_rng((s, 1)).uniform(*PACE_M_S) for s in seeds]
    return Task(torch.tensor([[pace, 0.0] for pace in paces], dtype=torch.float32))


class Scorer(Following):
    """Watches the true simulator; `reached` is to have been a car's length ahead of the lead car.

    `reach_tick` is the first such tick, `distance_m` how far ahead the car is at last. Contacts,
    speeding and the least gap are counted as in following.
    """

    hold = 1

    def distance(self, values: Array) -> Array:
        """Return how far ahead of the lead car each car is, [B]; negative behind."""
        return -values[:, 4]

    def there(self) -> NDArray[np.bool_]:
        """Say which cars are a car's length ahead, [B]."""
        found: NDArray[np.bool_] = self._distance >= CAR_M
        return found


__all__ = ["EVALUATION_SEEDS", "Overtaking", "Score", "Scorer", "tasks"]
