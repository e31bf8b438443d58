"""The `push` world: a puck, and a box before the only door.

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
from worlds.push.layout import Draw, draw
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 10.0
LIMIT_M_S = 1.0

SENSORS = Layout(
    (
        Channel("position", 2, "m"),
        Channel("velocity", 2, "m/s"),
        Channel("box_position", 2, "m"),
        Channel("box_turn", 1, "rad"),
        Channel("box_velocity", 2, "m/s"),
        Channel("box_spin", 1, "rad/s"),
        Channel("door", 1, "m"),
        Channel("opening", 1, "m"),
        Channel("clearance", 1, "m"),
        Channel("touch", 1, "N"),
        Channel("impact", 1, "N"),
    )
)
ACTUATORS = Layout((Channel("drive", 2, "m/s", (-LIMIT_M_S,) * 2, (LIMIT_M_S,) * 2),))


class Push:
    """A puck of 8 cm radius, velocity-driven at 10 Hz, two rooms, and a box wider than their door.

    Sensors: position (m) and velocity (m/s); the box's position (m), turn (rad), velocity (m/s) and
    spin (rad/s); the y of the door (m) and its opening (m, the wider of the gaps that the box
    leaves to either side's wall, at most the door's width); clearance (m, least distance from the
    puck's rim to a wall, negative in contact); touch and impact (N, contact force of the box and of
    walls on the puck). The door is elsewhere in every episode. The world has no goal.
    """

    class Config(Settings):
        """`dropout` is the probability, per tick and sensor, that an outage begins.

        For `outage_ticks` the sensor then reads 0 and says that it is not valid.
        """

        dropout: float = Field(default=0.0, ge=0.0, le=1.0)
        outage_ticks: int = Field(default=10, ge=1)

    trials = "worlds.push.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch = load(MODEL), batch
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        self._outages = Outages(SENSORS, batch, config.dropout, config.outage_ticks)
        puck = ["x", "y", "vx", "vy"]
        box = ["box_x", "box_y", "box_turn", "box_vx", "box_vy", "box_spin"]
        self._shown = sensor_columns(self.model, [*puck, *box, "door"])
        self._near = sensor_columns(self.model, ["clearance_outer", "clearance_wall"])
        self._open = sensor_columns(self.model, ["opening_south", "opening_north"])
        self._touch = sensor_columns(self.model, ["touch"])
        self._impact = sensor_columns(self.model, ["impact_outer", "impact_wall"])

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: puck and box at rest, clear of walls and of each other."""
        self._outages.reset(seeds)
        self.simulation.place(np.stack([pose(draw(int(seed))) for seed in seeds]))
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
        shown = trace[..., self._shown]
        return np.concatenate(
            [
                shown,
                trace[..., self._open].max(axis=-1, keepdims=True),
                trace[..., self._near].min(axis=-1, keepdims=True),
                np.linalg.norm(trace[..., self._touch], axis=-1, keepdims=True),
                np.linalg.norm(trace[..., self._impact], axis=-1, keepdims=True),
            ],
            axis=-1,
        )

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after physics steps with readings [N, substeps, ...].

        Touch and impact are the hardest of all physics steps; other sensors are read at the last.
        """
        values = self.readings(trace[:, -1])
        values[:, -2:] = self.readings(trace)[..., -2:].max(axis=1)
        return torch.from_numpy(values.astype(np.float32))

    def _observe(self, first: bool) -> Observation:
        values, valid = self._outages.apply(self.packed(self.simulation.trace))
        return self.simulation.observed(values, valid, first)


def pose(drawn: Draw) -> Array:
    """Return joint positions [6] of an episode's start: the door, box x, y, turn, puck x, y."""
    return np.concatenate([[drawn.door], drawn.box, drawn.start])
