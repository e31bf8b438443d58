"""Evaluation of `push`: a goal behind a blocked door, and what truly happened.

The agent is told the goal; it never sees the score or the geometry used here.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.push.layout import PASS_M, RADIUS_M, THICK_M, draw
from worlds.push.world import SENSORS
from worlds.scoring import Score, Stay
from worlds.simulation import Array

EVALUATION_SEEDS = 1_000_000
TOLERANCE_M = 0.1
HOLD_TICKS = 5
SPEED_LIMIT_M_S = 1.0
THROUGH_M = 0.5 * THICK_M + RADIUS_M


def tasks(seeds: Sequence[int]) -> Task:
    """Return the goals of the episodes with these seeds: positions of the puck [B 2] in metres.

    From seed 900,000 on they are in the east room, the puck starts in the west room, and the box
    stands before the door.
    """
    goals = np.stack([draw(int(seed)).goal for seed in seeds])
    return Task(torch.tensor(goals, dtype=torch.float32))


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: the puck stayed within 10 cm of the goal for 5 ticks in a row. Contacts are of the
    puck with a wall, not with the box, too fast is above 1 m/s; `closest_m` is from its rim to a
    wall. `more` has the stages: `freed` is 1 if at some tick the door was 0.22 m open, `through`
    if, after that, the puck was in the other room than the one it started in.
    """

    def __init__(self, world: Any, task: Task) -> None:
        """Score episodes of `world`, a `Push`, against the goals of `task`."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._hold, self._reach = Stay(n, HOLD_TICKS), np.full(n, -1)
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._closest, self._distance = np.full(n, np.inf), np.full(n, np.inf)
        self._freed, self._through = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        self._side: Array | None = None

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trace = self.world.readings(self.world.simulation.trace)
        near = trace[..., SENSORS["clearance"]].min(axis=(1, 2))
        force = trace[..., SENSORS["impact"]].max(axis=(1, 2))
        speed = np.linalg.norm(trace[..., SENSORS["velocity"]], axis=-1)
        self._contacts += (near <= 0.0) | (force > 0.0)
        self._speeding += (speed > SPEED_LIMIT_M_S).any(axis=1)
        self._closest = np.minimum(self._closest, near)
        self._stages(trace)
        place = trace[:, -1, SENSORS["position"]]
        self._distance = np.linalg.norm(place - self.goal, axis=-1)
        self._reach = self._hold.look(self._distance <= TOLERANCE_M)

    def _stages(self, trace: Array) -> None:
        x = trace[:, -1, 0]
        if self._side is None:
            self._side = np.sign(trace[:, 0, 0])
        self._freed |= (trace[..., SENSORS["opening"]] >= PASS_M).any(axis=(1, 2))
        self._through |= self._freed & (-self._side * x >= THROUGH_M)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have reached and held their goal, [B]."""
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
            more={"freed": self._freed.astype(float), "through": self._through.astype(float)},
        )


__all__ = ["EVALUATION_SEEDS", "Score", "Scorer", "tasks"]
