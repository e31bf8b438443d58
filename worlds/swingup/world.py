"""The `swingup` world: a cart on a rail, and a pole that only the cart's motion moves.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 20.0
LIMIT_M_S = 2.0
POLE_M = 0.6
JOURNEYS = 900_000
"""From this seed on the pole hangs at the start; below it is anywhere, and turning."""

SENSORS = Layout(
    (
        Channel("position", 1, "m"),
        Channel("velocity", 1, "m/s"),
        Channel("direction", 2, "1"),
        Channel("spin", 1, "rad/s"),
        Channel("tip", 2, "m"),
        Channel("impact", 1, "N"),
    )
)
ACTUATORS = Layout((Channel("drive", 1, "m/s", (-LIMIT_M_S,), (LIMIT_M_S,)),))


class Swingup:
    """A cart of 1 kg, velocity-driven at 20 Hz with at most 5 N, and a pole of 0.6 m on it.

    Sensors: position (m) and velocity (m/s) of the cart; the pole's direction, sine and cosine of
    its angle from straight up, since an angle would jump where it begins anew, or tell apart what
    is the same after a whole turn; its spin (rad/s); where its tip is (m, x and height above the
    rail); impact (N, of the stops at |x| = 1 m on the cart). The drive is too weak to lift the
    pole at once: it has to be swung. The world has no goal.
    """

    class Config(Settings):
        """Nothing to set."""

    trials = "worlds.swingup.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch = load(MODEL), batch
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        along, tip = (sensor_columns(self.model, [name])[:2] for name in ("along", "tip"))
        cart, spin = sensor_columns(self.model, ["x", "vx"]), sensor_columns(self.model, ["spin"])
        self._columns = [*cart, *along, *spin, *tip, *sensor_columns(self.model, ["impact"])]

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: the cart at rest near the middle, the pole hanging.

        Seeds of training start with cart and pole anywhere, and moving.
        """
        poses, speeds = zip(*(start(int(seed)) for seed in seeds), strict=True)
        self.simulation.place(np.stack(poses), np.stack(speeds))
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.05 s). Raises PhysicsError if the physics becomes unstable."""
        self.simulation.step(action.command.double().numpy())
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., O] from raw sensor readings [..., nsensordata]."""
        return trace[..., self._columns]

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after physics steps with readings [N, substeps, ...].

        Impact is the hardest of all physics steps; every other sensor is read at the last.
        """
        values = self.readings(trace[:, -1])
        values[:, -1] = self.readings(trace)[..., -1].max(axis=1)
        return torch.from_numpy(values.astype(np.float32))

    def _observe(self, first: bool) -> Observation:
        valid = torch.ones(self.batch, len(SENSORS.channels), dtype=torch.bool)
        return self.simulation.observed(self.packed(self.simulation.trace), valid, first)


def start(seed: int) -> tuple[Array, Array]:
    """Return joint positions [2] and speeds [2] of an episode's start: the cart's and the pole's.

    An angle of 0 is straight up.
    """
    rng = np.random.default_rng((seed, 0))
    if seed >= JOURNEYS:
        cart, lean = rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2)
        return np.array([cart, np.pi + lean]), np.zeros(2)
    pose = rng.uniform((-0.8, -np.pi), (0.8, np.pi))
    return pose, rng.uniform((-1.0, -6.0), (1.0, 6.0))
