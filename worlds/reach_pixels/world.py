"""The `reach` world with a camera above it: the same body, post, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agent.core.messages import Observation
from worlds.above import Above
from worlds.eye import DEPTH, SIZE, Greys, with_camera
from worlds.reach import world as reach
from worlds.simulation import Array

SHADES = {
    "table": 0.0,
    "pedestal": 0.25,
    "post": 0.4,
    "upper_arm": 0.6,
    "forearm": 0.8,
    "fingertip": 1.0,
}
"""Greys of the scene: what has to be told apart differs."""

POST_LOW, POST_HIGH = 0.2, 0.55
STREAM = 4
"""Keeps draws of looks apart from those of starts, goals, random policies and outages."""

SENSORS = with_camera(reach.SENSORS)


class ReachPixels(Above):
    """`reach`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels.

    The post may look different from episode to episode.
    """

    class Config(reach.Reach.Config):
        """Parameters of `reach`; the camera drops out like any other sensor, and is then black.

        With `looks` above 1 the post has one of so many greys, another from episode to episode.
        """

        looks: int = Field(default=1, ge=1)

    below = reach.Reach
    shades = SHADES
    trials = "worlds.reach.trials"
    sensors = SENSORS
    actuators = reach.ACTUATORS
    rate_hz = reach.RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        super().__init__(config, batch)
        self._looks, self._post = config.looks, np.full(batch, SHADES["post"])

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, at rest in a random pose clear of the post."""
        self._post = self.greys()[self.look_of(seeds)]
        return super().reset(seeds)

    def show(self, poses: Array) -> Observation:
        """Return what sensors and camera show at rest in joint angles `poses` [B 2] (rad)."""
        self._post = self.greys()[np.zeros(len(poses), dtype=np.int64)]
        return self._begin(range(len(poses)), self._body.show(poses))

    def greys(self) -> Array:
        """Return the greys that the post may have, [looks]."""
        if self._looks == 1:
            return np.array([SHADES["post"]])
        return np.linspace(POST_LOW, POST_HIGH, self._looks)

    def look_of(self, seeds: Sequence[int]) -> NDArray[np.int64]:
        """Return which of its greys the post has in the episodes with these seeds, [B]."""
        draws = [np.random.default_rng((seed, STREAM)).integers(self._looks) for seed in seeds]
        return np.array(draws, dtype=np.int64)

    def _greys(self) -> Greys:
        return {"post": self._post}


__all__ = ["DEPTH", "SENSORS", "SHADES", "SIZE", "ReachPixels"]
