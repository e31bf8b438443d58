"""The `push` world with a camera above it: the same bodies, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.messages import Action, Observation
from worlds.eye import Eye, with_camera
from worlds.push import world as push
from worlds.simulation import Array

SHADES = {
    "ground": 0.0,
    **dict.fromkeys(("west", "east", "south", "north"), 0.3),
    **dict.fromkeys(("wall_south", "wall_north"), 0.8),
    "box": 0.6,
    "puck": 1.0,
}
"""Greys of the scene: what has to be told apart differs."""

SENSORS = with_camera(push.SENSORS)


class PushPixels:
    """`push`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels.

    The oldest frame comes first; an episode begins with its first frame three times. The sensors of
    `push` are there too, before `camera`: as labels for readouts and guardrails in training. A
    perception of pixels looks at none of them.
    """

    class Config(push.Push.Config):
        """Parameters of `push`; the camera drops out like any other sensor, and is then black."""

    trials = "worlds.push.trials"
    sensors = SENSORS
    actuators = push.ACTUATORS
    rate_hz = push.RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        self._body = push.Push(config.model_copy(update={"dropout": 0.0}), batch)
        self.batch, self.model, self.simulation = batch, self._body.model, self._body.simulation
        outages = config.dropout, config.outage_ticks
        self._eye = Eye(self.model, SHADES, SENSORS, batch, outages)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as `push` does."""
        return self._eye.begin(seeds, self._body.reset(seeds), self.simulation.qpos)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.1 s). Raises PhysicsError if the physics becomes unstable."""
        return self._eye.follow(self._body.step(action), self.simulation.qpos)

    def close(self) -> None:
        """Stop the simulation threads and give the graphics context back."""
        self._body.close()
        self._eye.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., n] of `push` from raw sensor readings."""
        return self._body.readings(trace)
