"""Where edge, rock and cars of `cliff` are, and what a seed draws.

Numbers are those of model.xml. Angles go round the mesa, counter-clockwise. The agent sees none of
this.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from worlds.simulation import Array

EDGE_M, ROCK_M, CAR_M = 3.5, 1.5, 0.15
"""Radii of the mesa, of the rock in its middle, and of a car's outline."""
BRAKES = 0.5
"""The share of drivers that brake."""
NEVER = 9.0
"""Where drivers brake (rad) that do not: past a whole turn."""
UNITS_PER_RAD = 100.0
"""The joint `brake` holds a hundred times the angle, so that braking does not push it away."""
APART_M = 2 * CAR_M + 0.1
"""What is at least between the middles of two cars at a start."""
AROUND = (-0.5, 0.7)
"""How far ahead of the car (rad) the lead car is in training; below 0 it comes from behind."""
JOURNEYS = 900_000
"""From this seed on the car has a way to go, behind the lead car; below it may be anywhere."""


class Draw(NamedTuple):
    """What a seed decides. Places are angle (rad) and radius (m).

    The car's place and how far it is turned from the road's direction (rad); the lead car's place,
    speed (m/s) and where it brakes (rad); the goal's place.
    """

    car: Array
    turned: float
    lead: Array
    speed: float
    brake: float
    goal: Array


@lru_cache(maxsize=4096)
def draw(seed: int) -> Draw:
    """Return what the episode with this seed is like.

    Below `JOURNEYS` the lead car may also be beside the car, or come from behind: who has passed it
    meets with that.
    """
    rng = np.random.default_rng((seed, 0))
    if seed >= JOURNEYS:
        car, turned = rng.uniform((-1.0, 2.1), (-0.8, 2.9)), rng.uniform(-0.3, 0.3)
        ahead, soon = rng.uniform(0.4, 0.55), (0.05, 0.3)
    else:
        car, turned = rng.uniform((-1.1, 1.75), (0.7, 3.3)), rng.uniform(-1.2, 1.2)
        ahead, soon = rng.uniform(*AROUND), (0.0, 0.5)
    lead = np.array([car[0] + ahead, rng.uniform(2.2, 2.8)])
    while np.linalg.norm(place(lead) - place(car)) < APART_M:  # never on a journey
        lead = np.array([car[0] + rng.uniform(*AROUND), rng.uniform(2.2, 2.8)])
    speed, brakes = rng.uniform(0.45, 0.65), rng.uniform() < BRAKES
    brake = lead[0] + rng.uniform(*soon) if brakes else NEVER
    goal = car + np.array([rng.uniform(1.2, 1.5), 0.0])
    goal[1] = rng.uniform(2.2, 2.8)
    for value in (car, lead, goal):
        value.flags.writeable = False
    return Draw(car, float(turned), lead, float(speed), float(brake), goal)


def place(polar: Array) -> Array:
    """Return places [..., 2] in metres from the mesa's middle, of angle and radius [..., 2]."""
    angle, radius = polar[..., 0], polar[..., 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)


def pose(drawn: Draw) -> tuple[Array, Array]:
    """Return joint positions [9] and speeds [9] of an episode's start.

    In order: the car's x, y, height, yaw and wheels; the lead car's angle and radius; the driver.
    """
    car, lead = drawn.car, drawn.lead
    yaw = car[0] + 0.5 * np.pi + drawn.turned
    positions = [*place(car), 0.0, yaw, 0.0, 0.0, *lead, UNITS_PER_RAD * drawn.brake]
    speeds = np.zeros(9)
    speeds[6] = drawn.speed / lead[1]
    return np.array(positions), speeds
