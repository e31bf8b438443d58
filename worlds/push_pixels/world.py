"""The `push` world with a camera above it: the same bodies, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from worlds.above import Above
from worlds.eye import with_camera
from worlds.push import world as push

SHADES = {
    "ground": 0.0,
    **dict.fromkeys(("west", "east", "south", "north"), 0.3),
    **dict.fromkeys(("wall_south", "wall_north"), 1.0),
    "box": 0.3,
    "puck": 1.0,
}
"""Greys of the scene: what has to be told apart differs, and what is small is bright.

With a box of 0.6 and a wall of 0.8 latents keep the box, a hundred pixels, and lose the door.
"""

SENSORS = with_camera(push.SENSORS)


class PushPixels(Above):
    """`push`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels."""

    class Config(push.Push.Config):
        """Parameters of `push`; the camera drops out like any other sensor, and is then black."""

    below = push.Push
    shades = SHADES
    trials = "worlds.push.trials"
    sensors = SENSORS
    actuators = push.ACTUATORS
    rate_hz = push.RATE_HZ
