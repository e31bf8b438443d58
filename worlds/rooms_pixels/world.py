"""The `rooms` world with a camera above it: the same bodies, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.messages import Action, Observation
from worlds.eye import Eye, with_camera
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


class RoomsPixels:
    """`rooms`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels.

    The oldest frame comes first; an episode begins with its first frame three times. The sensors of
    `rooms` are there too, before `camera`: as labels for readouts and guardrails in training. A
    perception of pixels looks at none of them.
    """

    class Config(rooms.Rooms.Config):
        """Parameters of `rooms`; the camera drops out like any other sensor, and is then black."""

    trials = "worlds.rooms.trials"
    sensors = SENSORS
    actuators = rooms.ACTUATORS
    rate_hz = rooms.RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        self._body = rooms.Rooms(config.model_copy(update={"dropout": 0.0}), batch)
        self.batch, self.model, self.simulation = batch, self._body.model, self._body.simulation
        outages = config.dropout, config.outage_ticks
        self._eye = Eye(self.model, SHADES, SENSORS, batch, outages)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as `rooms` does."""
        return self._eye.begin(seeds, self._body.reset(seeds), self.simulation.qpos)

    def show(self, poses: Array) -> Observation:
        """Return what sensors and camera show at rest in `poses` [B 5]: doors, x and y (m)."""
        return self._eye.begin(range(len(poses)), self._body.show(poses), self.simulation.qpos)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.1 s). Raises PhysicsError if the physics becomes unstable."""
        return self._eye.follow(self._body.step(action), self.simulation.qpos)

    def close(self) -> None:
        """Stop the simulation threads and give the graphics context back."""
        self._body.close()
        self._eye.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., n] of `rooms` from raw sensor readings."""
        return self._body.readings(trace)
