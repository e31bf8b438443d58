"""Where walls, door and box of `push` are, and what a seed draws.

Numbers are those of model.xml. The agent sees none of this.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from worlds.simulation import Array

HALF_M = (1.5, 1.2)
"""The arena is |x| <= 1.5, |y| <= 1.2; the wall with the door stands at x = 0."""
THICK_M, DOOR_M, RADIUS_M, SIDE_M = 0.06, 0.44, 0.08, 0.5
DOORS_M = 0.4
"""Centres of doors are at |y| <= 0.4."""
BEFORE_M = -0.31
"""Where the box blocks the door, in x: 3 cm from the wall."""
WEST_M, EAST_M = -0.75, 0.15
"""A journey starts west of the box's face and ends east of the doorway."""
NEAR_M = 0.4
PASS_M = 2 * RADIUS_M + 0.06
"""An opening that the puck gets through with 3 cm to spare on either side."""
START_CLEARANCE_M = 0.05
JOURNEYS = 900_000
"""From this seed on the box blocks the door between start and goal: nothing is trained on these."""


class Draw(NamedTuple):
    """What a seed decides: the door (y, m), the box (x, y, m; turn, rad), start and goal [2]."""

    door: float
    box: Array
    start: Array
    goal: Array


@lru_cache(maxsize=4096)
def draw(seed: int) -> Draw:
    """Return what the episode with this seed is like.

    Below `JOURNEYS` the box blocks the door in a quarter of the episodes, stands elsewhere along
    the wall in another, so that doors half free and just freed are seen, and is anywhere in the
    others; half of the pucks start within 0.4 m of its faces, so that pushing is seen, and a
    quarter within 0.4 m of the door, so that passing is.
    """
    rng = np.random.default_rng((seed, 0))
    journey = seed >= JOURNEYS
    door = rng.uniform(-DOORS_M, DOORS_M)
    blocked, near = journey or rng.uniform() < 0.5, not journey and rng.uniform() < 0.5
    box = np.array([BEFORE_M, door + rng.uniform(-0.03, 0.03), 0.0])
    if not blocked:
        box = _anywhere(rng)
    elif not journey and rng.uniform() < 0.5:
        box[1] = rng.uniform(-1, 1) * (HALF_M[1] - 0.5 * SIDE_M - START_CLEARANCE_M)
    passing = not journey and not near and rng.uniform() < 0.5
    between = (-HALF_M[0], WEST_M if journey else HALF_M[0])
    start = _free(rng, door, box, between, near, passing)
    goal = _free(rng, door, box, (EAST_M if journey else -HALF_M[0], HALF_M[0]))
    for value in (box, start, goal):
        value.flags.writeable = False
    return Draw(door, box, start, goal)


def clearance(place: Array, door: float) -> float:
    """Return the least distance (m) from the rim of a puck at `place` [2] to any wall."""
    beyond = np.abs(place[1] - door) - 0.5 * DOOR_M
    wall = np.hypot(max(abs(place[0]) - 0.5 * THICK_M, 0.0), min(beyond, 0.0))
    return float(min(wall, *(np.array(HALF_M) - np.abs(place)))) - RADIUS_M


def apart(place: Array, box: Array) -> float:
    """Return the distance (m) from the rim of a puck at `place` [2] to a box at pose `box` [3]."""
    turn = np.array([[np.cos(box[2]), np.sin(box[2])], [-np.sin(box[2]), np.cos(box[2])]])
    beside = np.maximum(np.abs(turn @ (place - box[:2])) - 0.5 * SIDE_M, 0.0)
    return float(np.linalg.norm(beside)) - RADIUS_M


def _anywhere(rng: np.random.Generator) -> Array:
    """Draw a pose [3] of the box, clear of walls however it is turned, in either room."""
    room = 0.5 * SIDE_M * np.sqrt(2.0) + START_CLEARANCE_M
    x = rng.uniform(room + 0.5 * THICK_M, HALF_M[0] - room) * rng.choice((-1.0, 1.0, -1.0))
    y = rng.uniform(room - HALF_M[1], HALF_M[1] - room)
    return np.array([x, y, rng.uniform(-0.25 * np.pi, 0.25 * np.pi)])


def _free(
    rng: np.random.Generator,
    door: float,
    box: Array,
    between: tuple[float, float],
    near: bool = False,
    passing: bool = False,
) -> Array:
    """Draw a place [2] clear of walls and box, x `between` two.

    Perhaps `near` the box's faces, or about to be `passing` the door.
    """
    half = np.array(HALF_M) - RADIUS_M - START_CLEARANCE_M
    within = NEAR_M if near else np.inf
    while True:
        place = rng.uniform(-half, half)
        there = between[0] <= place[0] <= between[1]
        clear = clearance(place, door) >= START_CLEARANCE_M
        there &= not passing or bool(np.hypot(place[0], place[1] - door) <= NEAR_M)
        if there and clear and START_CLEARANCE_M <= apart(place, box) <= within:
            return place
