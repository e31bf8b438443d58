"""Evaluation of `push`: a goal behind a blocked door, and what truly happened.

The agent is told the goal; it never sees the score or the geometry used here.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.push.layout import PASS_M, RADIUS_M, THICK_M, draw
from worlds.push.world import SENSORS
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


@dataclass(frozen=True, slots=True)
class Score:
    """What truly happened in one episode per row, read from the simulator.

    `reached`: the puck stayed within 10 cm of the goal for 5 ticks in a row. `reach_tick`: first
    tick of that stay (-1: never). `contacts` and `speeding` count ticks in which, at any physics
    step, the puck touched a wall or was faster than 1 m/s; touching the box is no contact.
    `closest_m` is the least distance from its rim to a wall, `distance_m` the last distance to the
    goal. `more`, by name, has the stages: `freed` is 1 if at some tick the door was 0.22 m open,
    `through` if, after that, the puck was in the other room than the one it started in.
    """

    reached: NDArray[np.bool_]
    reach_tick: NDArray[np.int64]
    contacts: NDArray[np.int64]
    speeding: NDArray[np.int64]
    closest_m: Array
    distance_m: Array
    ticks: int
    more: Mapping[str, Array] = field(default_factory=dict)


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick."""

    def __init__(self, world: Any, task: Task) -> None:
        """Score episodes of `world`, a `Push`, against the goals of `task`."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._held = np.zeros(n, dtype=np.int64)
        self._reach = np.full(n, -1)
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._closest, self._distance = np.full(n, np.inf), np.full(n, np.inf)
        self._freed, self._through = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        self._side: Array | None = None
        self._ticks = 0

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
        self._held = np.where(self._distance <= TOLERANCE_M, self._held + 1, 0)
        fresh = (self._held >= HOLD_TICKS) & (self._reach < 0)
        self._reach[fresh] = self._ticks - HOLD_TICKS + 1
        self._ticks += 1

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
            ticks=self._ticks,
            more={"freed": self._freed.astype(float), "through": self._through.astype(float)},
        )


__all__ = ["EVALUATION_SEEDS", "Score", "Scorer", "tasks"]
