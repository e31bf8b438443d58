"""The `lead` world: a car behind another whose driver cannot be seen.

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
RATE_HZ = 10.0
FORWARD_M_S, SIDEWAYS_M_S = 2.0, 1.5
SLOPE = 0.75
"""Metres sideways per metre forward on either branch, as in the model file."""

SENSORS = Layout(
    (
        Channel("position", 2, "m"),
        Channel("velocity", 2, "m/s"),
        Channel("lead_position", 2, "m"),
        Channel("lead_velocity", 2, "m/s"),
        Channel("gap", 1, "m"),
    )
)
ACTUATORS = Layout((Channel("drive", 2, "m/s", (0.0, -SIDEWAYS_M_S), (FORWARD_M_S, SIDEWAYS_M_S)),))


class Lead:
    """A car, velocity-driven at 10 Hz, behind one that turns left or right at a fork.

    Sensors: own position (m) and velocity (m/s), where the lead car is seen from the car (m), its
    velocity (m/s), and the gap between the two (m, negative in contact). Where the fork is has to
    be learned. Which way the lead car turns is decided by the seed when an episode starts, and
    shown by no sensor before it turns. The world has no goal.
    """

    class Config(Settings):
        """Nothing to set."""

    trials = "worlds.lead.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model = load(MODEL)
        self.batch = batch
        self.simulation = Simulation(
            self.model, batch, round(1.0 / (RATE_HZ * self.model.opt.timestep))
        )
        columns = [
            sensor_columns(self.model, names)[:2]
            for names in (
                ["position"],
                ["forward_speed", "sideways_speed"],
                ["lead_position"],
                ["lead_forward_speed", "lead_sideways_speed"],
                ["gap"],
            )
        ]
        self._columns = [c for some in columns for c in some]

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: the car at rest, the lead car ahead of it, driving."""
        poses, speeds = zip(*(start(seed) for seed in seeds), strict=True)
        self.simulation.place(np.stack(poses), np.stack(speeds))
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.1 s). Raises PhysicsError if the physics becomes unstable."""
        self.simulation.step(action.command.double().numpy())
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., O] from raw sensor readings [..., nsensordata]."""
        return trace[..., self._columns]

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after the steps of a tick, [N, substeps, ...]."""
        return torch.from_numpy(self.readings(trace[:, -1]).astype(np.float32))

    def _observe(self, first: bool) -> Observation:
        valid = torch.ones(self.batch, len(SENSORS.channels), dtype=torch.bool)
        return self.simulation.observed(self.packed(self.simulation.trace), valid, first)


def start(seed: int) -> tuple[Array, Array]:
    """Return joint positions [5] and speeds [5] of an episode's start, functions of its seed.

    In order: the car's x and y, the lead car's x and y, the driver's choice (+1 left, -1 right).
    """
    rng = np.random.default_rng((seed, 0))
    lead = rng.uniform(-2.5, -0.8)
    car = lead - rng.uniform(0.9, 2.0)
    side, speed, choice = rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.2), rng.choice((-1.0, 1.0))
    return np.array([car, side, lead, 0.0, choice]), np.array([0.0, 0.0, speed, 0.0, 0.0])
