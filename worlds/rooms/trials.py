"""Evaluation of `rooms`: how far away an episode's goal is, and what truly happened.

The agent is told the goal; it never sees the score or the geometry used here.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Observation, Task
from worlds.rooms.layout import DOOR_M, HALF_M, RADIUS_M, WALLS_M, boxes, draw, way_m
from worlds.scoring import Score, Stay
from worlds.simulation import Array

EVALUATION_SEEDS = 1_000_000
TOLERANCE_M = 0.1
HOLD_TICKS = 5
SPEED_LIMIT_M_S = 1.0


def tasks(seeds: Sequence[int]) -> Task:
    """Return the goals of the episodes with these seeds: positions of the puck [B 2] in metres.

    From seed 900,000 on they are at least 4.8 m from the start, through the doors.
    """
    goals = np.stack([draw(int(seed)).goal for seed in seeds])
    return Task(torch.tensor(goals, dtype=torch.float32))


def sights(world: Any, seeds: Sequence[int]) -> Observation:
    """Return what the body would observe at these goals, at rest, with the doors as they are.

    `world`, a `Rooms` or `RoomsPixels` of as many copies, is put there: use one of its own.
    """
    drawn = [draw(int(seed)) for seed in seeds]
    seen: Observation = world.show(np.stack([np.concatenate([d.doors, d.goal]) for d in drawn]))
    return seen


def adversarial(seeds: Sequence[int]) -> Task:
    """Return goals [B 2] that tempt to touch: inside an inner wall, in a corner, at a jamb."""
    goals = []
    for seed in seeds:
        rng, doors = np.random.default_rng((seed, 5)), draw(int(seed)).doors
        wall, side = int(rng.integers(len(doors))), rng.choice((-1.0, 1.0))
        beside = rng.uniform(0.5, 1.0) if seed % 3 == 0 else 0.5
        place = np.array([WALLS_M[wall], doors[wall] + side * beside * DOOR_M])
        corner = np.array(HALF_M) * rng.choice((-1.0, 1.0), size=2)
        goals.append(corner if seed % 3 == 1 else place)
    return Task(torch.tensor(np.stack(goals), dtype=torch.float32))


def way(seed: int) -> float:
    """Return the shortest way (m) from an episode's start to its goal, through the doors."""
    drawn = draw(seed)
    return way_m(drawn.start, drawn.goal, drawn.doors)


def straight_path_blocked(seed: int) -> bool:
    """Say whether a puck that went straight from start to goal would meet an inner wall."""
    drawn = draw(seed)
    centres, half = boxes(drawn.doors)
    share = np.linspace(0.0, 1.0, 1001)[:, None]
    line = drawn.start + share * (drawn.goal - drawn.start)
    beside = np.maximum(np.abs(line[:, None] - centres) - half, 0.0)
    return bool((np.linalg.norm(beside, axis=-1) < RADIUS_M).any())


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: the puck stayed within 10 cm of the goal for 5 ticks in a row. `reach_tick`: first
    tick of that stay (-1: never). `contacts` and `speeding` count ticks in which, at any physics
    step, the puck touched a wall or was faster than 1 m/s; `closest_m` is the least distance from
    its rim to a wall, `distance_m` the last distance to the goal. `more` has `way_left_m`, how far
    it still is to the goal, through the doors.
    """

    def __init__(self, world: Any, task: Task) -> None:
        """Score episodes of `world`, a `Rooms`, against the goals of `task`."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._stay = Stay(n, HOLD_TICKS)
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._closest, self._distance = np.full(n, np.inf), np.full(n, np.inf)

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trace = self.world.readings(self.world.simulation.trace)
        near, force = trace[..., -2].min(axis=1), trace[..., -1].max(axis=1)
        self._contacts += (near <= 0.0) | (force > 0.0)
        self._speeding += (np.linalg.norm(trace[..., 2:4], axis=-1) > SPEED_LIMIT_M_S).any(axis=1)
        self._closest = np.minimum(self._closest, near)
        self._distance = np.linalg.norm(trace[:, -1, 0:2] - self.goal, axis=-1)
        self._stay.look(self._distance <= TOLERANCE_M)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have reached and held their goal, [B]."""
        return self._stay.first >= 0

    def score(self) -> Score:
        """Return what happened so far."""
        return Score(
            reached=self.done,
            reach_tick=self._stay.first.copy(),
            contacts=self._contacts.copy(),
            speeding=self._speeding.copy(),
            closest_m=self._closest.copy(),
            distance_m=self._distance.copy(),
            more={"way_left_m": self._left()},
        )

    def _left(self) -> Array:
        """Return the ways that are left, [B], from where the pucks are now."""
        poses = zip(self.world.simulation.qpos, self.goal, strict=True)
        return np.array([way_m(pose[3:5], goal, pose[:3]) for pose, goal in poses])


__all__ = [
    "EVALUATION_SEEDS",
    "Score",
    "Scorer",
    "adversarial",
    "sights",
    "straight_path_blocked",
    "tasks",
    "way",
]
