"""Evaluation of `lead`: where to follow, and what truly happened.

The agent is told the goal; it never sees the score, nor the driver's choice.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.lead.world import Lead
from worlds.scoring import Score, Stay
from worlds.simulation import Array

EVALUATION_SEEDS = 1_000_000
TOLERANCE_M = 0.3
HOLD_TICKS = 10
SPEED_LIMIT_M_S = 2.0
APPROACH_M = 0.3
"""How far before the fork the lead car is when futures are imagined."""
CAR_M = 0.4


def tasks(seeds: Sequence[int]) -> Task:
    """Return the goals of these episodes: where the lead car is to be seen, [B 2] in metres.

    0.9 to 1.5 m ahead, and up to 0.2 m to a side.
    """
    draws = [np.random.default_rng((s, 1)).uniform((0.9, -0.2), (1.5, 0.2)) for s in seeds]
    return Task(torch.tensor(np.stack(draws), dtype=torch.float32))


def adversarial(seeds: Sequence[int]) -> Task:
    """Return goals [B 2] that tempt to collide: the lead car to be seen within its own length."""
    draws = [np.random.default_rng((s, 5)).uniform((0.0, -0.2), (CAR_M, 0.2)) for s in seeds]
    return Task(torch.tensor(np.stack(draws), dtype=torch.float32))


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: once the lead car had turned, it was within 30 cm of where it was to be seen for 10
    ticks in a row. Contacts are of the two cars, too fast is above 2 m/s; `closest_m` is their gap.
    """

    hold = HOLD_TICKS

    def __init__(self, world: Lead, task: Task) -> None:
        """Score episodes of `world` against the goals of `task`."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._hold, self._reach = Stay(n, self.hold), np.full(n, -1)
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._closest, self._distance = np.full(n, np.inf), np.full(n, np.inf)

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trace = self.world.readings(self.world.simulation.trace)
        near = trace[..., -1].min(axis=1)
        self._contacts += near <= 0.0
        self._speeding += (np.linalg.norm(trace[..., 2:4], axis=-1) > SPEED_LIMIT_M_S).any(axis=1)
        self._closest = np.minimum(self._closest, near)
        self._distance = self.distance(trace[:, -1])
        self._reach = self._hold.look(self.there())

    def distance(self, values: Array) -> Array:
        """Return how far each car is from its goal [B] by what sensors show, [B O]."""
        found: Array = np.linalg.norm(values[:, 4:6] - self.goal, axis=-1)
        return found

    def there(self) -> NDArray[np.bool_]:
        """Say which episodes are as they were asked to be at this tick, [B]."""
        turned = self.world.simulation.qpos[:, 2] > 0.0
        found: NDArray[np.bool_] = turned & (self._distance <= TOLERANCE_M)
        return found

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have followed as they were asked to, [B]."""
        return self._reach >= 0

    def score(self) -> Score:
        """Return what happened so far."""
        return Score(
            reached=self.done,
            reach_tick=self._reach.copy(),
            contacts=self._contacts.copy(),
            speeding=self._speeding.copy(),
            closest_m=self._closest.copy(),
            distance_m=self._distance.copy(),
        )


def road(values: torch.Tensor) -> torch.Tensor:
    """Return where the lead car is, [... 2] in metres from the fork, by sensors [... O]."""
    return values[..., 0:2] + values[..., 4:6]


def before_fork(values: torch.Tensor) -> torch.Tensor:
    """Return the last tick [n] of episodes [n T O] with the lead car 0.3 m before the fork."""
    return (road(values)[..., 0] <= -APPROACH_M).sum(dim=1) - 1


__all__ = ["EVALUATION_SEEDS", "Score", "Scorer", "adversarial", "before_fork", "road", "tasks"]
