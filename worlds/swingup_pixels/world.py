"""The `swingup` world with a camera beside it: the same body, trials and physics.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.messages import Action, Observation
from worlds.eye import DEPTH, Eye, with_camera
from worlds.simulation import Array
from worlds.swingup import world as swingup

SHADES = {
    "backdrop": 0.0,
    "rail": 0.2,
    **dict.fromkeys(("west_stop", "east_stop"), 0.3),
    "cart": 0.5,
    "pole": 0.75,
    "tip": 1.0,
}
"""Greys of the scene: what has to be told apart differs."""

POLE_M, TIP_M = 0.06, 0.13
"""Radii in m at which pole and tip are drawn: a pixel is 5 cm wide, so the true pole all but
vanishes between them. Nothing collides with either, and inertia is known by then: physics is the
same."""

SENSORS = with_camera(swingup.SENSORS)


class SwingupPixels:
    """`swingup`, and a camera that looks at it from the side: the last 3 frames, 64x64 grey pixels.

    The oldest frame comes first; an episode that begins in motion shows where that came from, as if
    it had gone on evenly. The sensors of `swingup` are there too, before `camera`: as labels for
    readouts and guardrails in training. A perception of pixels looks at none that its config does
    not name.
    """

    class Config(swingup.Swingup.Config):
        """Nothing to set."""

    trials = "worlds.swingup.trials"
    sensors = SENSORS
    actuators = swingup.ACTUATORS
    rate_hz = swingup.RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        self._body = swingup.Swingup(config, batch)
        self.batch, self.model, self.simulation = batch, self._body.model, self._body.simulation
        self.model.geom("pole").size[0], self.model.site("tip").size[0] = POLE_M, TIP_M
        self._eye = Eye(self.model, SHADES, SENSORS, batch, (0.0, 1))

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as `swingup` does."""
        felt = self._body.reset(seeds)
        now, moved = self.simulation.qpos, self.simulation.qvel / self.rate_hz
        return self._eye.begin(seeds, felt, *(now - k * moved for k in reversed(range(DEPTH))))

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.05 s). Raises PhysicsError if the physics becomes unstable."""
        return self._eye.follow(self._body.step(action), self.simulation.qpos)

    def close(self) -> None:
        """Stop the simulation threads and give the graphics context back."""
        self._body.close()
        self._eye.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., n] of `swingup` from raw sensor readings."""
        return self._body.readings(trace)
