"""The `rooms` world with a camera above it: the same bodies, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from agent.core.messages import Observation
from worlds.above import Above
from worlds.eye import with_camera
from worlds.rooms import world as rooms
from worlds.simulation import Array

SHADES = {
    "ground": 0.0,
    **dict.fromkeys(("west", "east", "south", "north"), 0.3),
    **{f"wall_{i}_{side}": 0.8 for i in (1, 2, 3) for side in ("south", "north")},
    "puck": 1.0,
}
"""Greys of the scene: what has to be told apart differs."""

SENSORS = with_camera(rooms.SENSORS)


class RoomsPixels(Above):
    """`rooms`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels.

    It can be put at rest anywhere, with the doors as asked.
    """

    class Config(rooms.Rooms.Config):
        """Parameters of `rooms`; the camera drops out like any other sensor, and is then black."""

    below = rooms.Rooms
    shades = SHADES
    trials = "worlds.rooms.trials"
    sensors = SENSORS
    actuators = rooms.ACTUATORS
    rate_hz = rooms.RATE_HZ

    def show(self, poses: Array) -> Observation:
        """Return what sensors and camera show at rest in `poses` [B 5]: doors, x and y (m)."""
        return self._begin(range(len(poses)), self._body.show(poses))
