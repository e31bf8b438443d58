"""Where walls and doors of `rooms` are, how far it is through the doors, and what a seed draws.

Numbers are those of model.xml. The agent sees none of this: the world draws starts from it, and
evaluation draws goals and measures ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from worlds.simulation import Array

HALF_M = (2.0, 1.5)
"""The arena is |x| <= 2, |y| <= 1.5."""
WALLS_M = (-1.0, 0.0, 1.0)
"""Where the inner walls stand, in x."""
THICK_M, DOOR_M, RADIUS_M = 0.06, 0.8, 0.08
DOORS_M = 1.0
"""Centres of doors are at |y| <= 1.0."""
START_CLEARANCE_M = 0.05
JOURNEYS = 900_000
"""From this seed on start and goal are far apart: seeds that nothing is trained on."""
FAR_M = 4.8
"""Least way of a journey: four times what 12 ticks cover at the speed limit of 1 m/s."""


class Draw(NamedTuple):
    """What a seed decides: doors [3] (y, m), where the puck starts and what may be its goal [2]."""

    doors: Array
    start: Array
    goal: Array


@lru_cache(maxsize=4096)
def draw(seed: int) -> Draw:
    """Return what the episode with this seed is like; from `JOURNEYS` on with a long way to go."""
    rng = np.random.default_rng((seed, 0))
    while True:
        doors = rng.uniform(-DOORS_M, DOORS_M, size=len(WALLS_M))
        start, goal = free(rng, doors), free(rng, doors)
        if seed < JOURNEYS or way_m(start, goal, doors) >= FAR_M:
            for value in (doors, start, goal):
                value.flags.writeable = False
            return Draw(doors, start, goal)


def free(rng: np.random.Generator, doors: Array) -> Array:
    """Draw a place [2] (m) anywhere in the arena where the puck keeps 5 cm from all walls."""
    low = RADIUS_M + START_CLEARANCE_M
    half = np.array(HALF_M) - low
    while True:
        place = rng.uniform(-half, half)
        if clearance(place, doors) >= START_CLEARANCE_M:
            return place


def boxes(doors: Array) -> tuple[Array, Array]:
    """Return centres and half sizes [6 2] (m) of the boxes south and north of each door."""
    y = np.stack([doors - 0.5 * DOOR_M - 1.25, doors + 0.5 * DOOR_M + 1.25], axis=-1)
    centres = np.stack([np.repeat(np.array(WALLS_M)[:, None], 2, axis=1), y], axis=-1)
    return centres.reshape(-1, 2), np.tile([0.5 * THICK_M, 1.25], (2 * len(WALLS_M), 1))


def clearance(place: Array, doors: Array) -> float:
    """Return the least distance (m) from the rim of a puck at `place` [2] to any wall."""
    centres, half = boxes(doors)
    inner = np.linalg.norm(np.maximum(np.abs(place - centres) - half, 0.0), axis=-1).min()
    outer = (np.array(HALF_M) - np.abs(place)).min()
    return float(min(inner, outer)) - RADIUS_M


def way_m(start: Array, goal: Array, doors: Array) -> float:
    """Return the length (m) of the shortest way of the puck's centre from place to place [2].

    A polyline through the doors, its corners where a puck in the doorway touches the jambs. It is
    a little less than the truth: round a jamb's edge the puck goes along an arc.
    """
    start, goal = (start, goal) if start[0] <= goal[0] else (goal, start)
    reach = 0.5 * DOOR_M - RADIUS_M
    gates = [
        (x + side * 0.5 * THICK_M, door - reach, door + reach)
        for x, door in zip(WALLS_M, doors.tolist(), strict=True)
        for side in (-1, 1)
    ]
    gates = [gate for gate in gates if start[0] < gate[0] < goal[0]]
    corners = [(x, y) for x, low, high in gates for y in (low, high)]
    nodes = [tuple(start.tolist()), *corners, tuple(goal.tolist())]
    length = [0.0] + [np.inf] * (len(nodes) - 1)
    for j, to in enumerate(nodes):
        for i, origin in enumerate(nodes[:j]):
            if _passes(origin, to, gates):
                length[j] = min(length[j], length[i] + float(np.hypot(*np.subtract(to, origin))))
    return length[-1]


def _passes(
    origin: tuple[float, ...], to: tuple[float, ...], gates: Sequence[tuple[float, float, float]]
) -> bool:
    """Say whether a straight line from west to east goes through every gate between its ends."""
    slope = (to[1] - origin[1]) / max(to[0] - origin[0], 1e-12)
    return all(
        low <= origin[1] + slope * (x - origin[0]) <= high
        for x, low, high in gates
        if origin[0] < x < to[0]
    )
