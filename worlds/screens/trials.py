"""Evaluation of `screens`: an errand away from the thing, then back to it, out of sight meanwhile.

The agent is told where the errand is, never where the thing is; it sees no score.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.scoring import Score, Stay
from worlds.screens.world import HALF_M, Screens
from worlds.simulation import Array

EVALUATION_SEEDS = 1_000_000
AWAY_M = 1.6
"""Least distance of an errand from the booth in which the thing stands: 28 ticks at full speed."""
TOLERANCE_M = 0.15
HOLD_TICKS, HIDDEN_TICKS = 5, 50


def tasks(seeds: Sequence[int]) -> Task:
    """Return where the errands of these episodes are, [B 2] in metres, far from the thing."""
    world = Screens(Screens.Config(), 1)
    goals = [errand(seed, world.booth(world.start(seed)[2:])) for seed in seeds]
    world.close()
    return Task(torch.tensor(np.stack(goals), dtype=torch.float32))


def errand(seed: int, booth: tuple[Array, Array]) -> Array:
    """Return where the errand of an episode is, [2] (m), a function of its seed."""
    rng = np.random.default_rng((seed, 1))
    while True:
        goal = rng.uniform(-HALF_M, HALF_M, size=2)
        if np.linalg.norm(goal - np.clip(goal, *booth)) >= AWAY_M:
            return goal


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: found again. After the errand (the puck within 15 cm of its place), with the thing
    out of sight for 50 ticks in a row or more, the puck was within 15 cm of the thing for 5 ticks.
    Nothing can be touched; `distance_m` is from the thing. `more`: `errand`, whether it was done,
    and `hidden_ticks`, for how long in a row the thing was out of sight at most, before it was
    found.
    """

    def __init__(self, world: Screens, task: Task) -> None:
        """Score episodes of `world`; the goals of `task` are errands."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._errand = np.zeros(n, dtype=bool)
        self._hidden, self._longest = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._hold, self._reach = Stay(n, HOLD_TICKS), np.full(n, -1)
        self._distance = np.full(n, np.inf)

    def look(self) -> None:
        """Read the last tick from the simulator."""
        seen = self.world.readings(self.world.simulation.trace[:, -1])
        puck, thing = seen[:, :2], seen[:, 4:]
        self._errand |= np.linalg.norm(puck - self.goal, axis=-1) <= TOLERANCE_M
        self._hidden = np.where(self.world.in_sight(puck, thing), 0, self._hidden + 1)
        self._longest = np.where(self.done, self._longest, np.maximum(self._longest, self._hidden))
        self._distance = np.linalg.norm(puck - thing, axis=-1)
        found = self._errand & (self._longest >= HIDDEN_TICKS) & (self._distance <= TOLERANCE_M)
        self._reach = self._hold.look(found)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have found the thing again, [B]."""
        return self._reach >= 0

    def score(self) -> Score:
        """Return what happened so far."""
        none = np.zeros(self.world.batch, dtype=np.int64)
        return Score(
            reached=self.done,
            reach_tick=self._reach.copy(),
            contacts=none,
            speeding=none,
            closest_m=np.full(self.world.batch, np.inf),
            distance_m=self._distance.copy(),
            more={
                "errand": self._errand.astype(np.float64),
                "hidden_ticks": self._longest.astype(np.float64),
            },
        )
