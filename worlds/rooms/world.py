"""The `rooms` world: a puck among walls, a door in each, another layout in every episode.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.outages import Outages
from worlds.rooms.layout import Draw, draw
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 10.0
LIMIT_M_S = 1.0

SENSORS = Layout(
    (
        Channel("position", 2, "m"),
        Channel("velocity", 2, "m/s"),
        Channel("doors", 3, "m"),
        Channel("clearance", 1, "m"),
        Channel("impact", 1, "N"),
    )
)
ACTUATORS = Layout((Channel("drive", 2, "m/s", (-LIMIT_M_S,) * 2, (LIMIT_M_S,) * 2),))


class Rooms:
    """A puck of 8 cm radius, velocity-driven at 10 Hz, in four rooms with a door between each two.

    Sensors: position (m) and velocity (m/s), the y of each door (m; as a plan on the wall tells
    it), clearance (m, least distance from its rim to a wall, negative in contact) and impact (N,
    net contact force). Doors are elsewhere in every episode; they are part of the physics state,
    and nothing moves them. The world has no goal.
    """

    class Config(Settings):
        """`dropout` is the probability, per tick and sensor, that an outage begins.

        For `outage_ticks` the sensor then reads 0 and says that it is not valid.
        """

        dropout: float = Field(default=0.0, ge=0.0, le=1.0)
        outage_ticks: int = Field(default=10, ge=1)

    trials = "worlds.rooms.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch = load(MODEL), batch
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        self._outages = Outages(SENSORS, batch, config.dropout, config.outage_ticks)
        walls = range(1, 4)
        self._shown = sensor_columns(
            self.model,
            ["x", "y", "vx", "vy", *(f"door_{i}" for i in walls)],
        )
        self._near = sensor_columns(
            self.model, ["clearance_outer", *(f"clearance_{i}" for i in walls)]
        )
        self._force = sensor_columns(self.model, ["impact"])

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, at rest anywhere clear of walls; doors as the seed has it."""
        self._outages.reset(seeds)
        self.simulation.place(np.stack([pose(draw(int(seed))) for seed in seeds]))
        return self._observe(first=True)

    def show(self, poses: Array) -> Observation:
        """Return what sensors show at rest in `poses` [B 5]: doors (y), x and y of the puck (m)."""
        self._outages.reset(range(len(poses)))
        self.simulation.place(poses)
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
        return np.concatenate(
            [
                trace[..., self._shown],
                trace[..., self._near].min(axis=-1, keepdims=True),
                np.linalg.norm(trace[..., self._force], axis=-1, keepdims=True),
            ],
            axis=-1,
        )

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after physics steps with readings [N, substeps, ...].

        Impact is the hardest of all physics steps; every other sensor is read at the last.
        """
        values = self.readings(trace[:, -1])
        values[:, -1] = self.readings(trace)[..., -1].max(axis=1)
        return torch.from_numpy(values.astype(np.float32))

    def _observe(self, first: bool) -> Observation:
        values, valid = self._outages.apply(self.packed(self.simulation.trace))
        return self.simulation.observed(values, valid, first)


def pose(drawn: Draw) -> Array:
    """Return joint positions [5] of an episode's start: three doors, then the puck's x and y."""
    return np.concatenate([drawn.doors, drawn.start])
