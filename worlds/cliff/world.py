"""The `cliff` world: a car on a road round a mesa, behind another whose driver may brake.

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
from worlds.cliff.layout import CAR_M, EDGE_M, ROCK_M, draw, pose
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 10.0
FORWARD_M_S, BACK_M_S, TURN_RAD_S = 1.5, 0.5, 1.5

SENSORS = Layout(
    (
        Channel("position", 2, "m"),
        Channel("velocity", 2, "m/s"),
        Channel("heading", 2, "1"),
        Channel("turn_rate", 1, "rad/s"),
        Channel("height", 1, "m"),
        Channel("edge", 1, "m"),
        Channel("rock", 1, "m"),
        Channel("lead_position", 2, "m"),
        Channel("lead_velocity", 2, "m/s"),
        Channel("gap", 1, "m"),
    )
)
ACTUATORS = Layout(
    (
        Channel("speed", 1, "m/s", (-BACK_M_S,), (FORWARD_M_S,)),
        Channel("turn", 1, "rad/s", (-TURN_RAD_S,), (TURN_RAD_S,)),
    )
)


class Cliff:
    """A car on two driven wheels, commanded at 10 Hz, on a road round a mesa 7 m across.

    Sensors: position (m) and velocity (m/s), heading (its cosine and sine), turn rate (rad/s),
    height above the road (m); how far the car's outline, a circle of 15 cm, is from the cliff's
    edge and from the rock in the middle (m, negative beyond); where the lead car is seen from the
    car, ahead and to the left (m), its velocity (m/s), and the gap between the two (m). Who drives
    straight on goes over the edge; a car that fell stays below. The lead car's driver brakes in
    half of the episodes, where the seed has it, and no sensor shows that before. The world has no
    goal.
    """

    class Config(Settings):
        """Nothing to set."""

    trials = "worlds.cliff.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch = load(MODEL), batch
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        place, motion, heading, lead, lead_motion = (
            sensor_columns(self.model, [name])
            for name in ("place", "motion", "heading", "lead_position", "lead_velocity")
        )
        turning = sensor_columns(self.model, ["turn_rate"])
        self._own = [*place[:2], *motion[:2], *heading[:2], *turning, place[2]]
        self._lead = [*lead[:2], *lead_motion[:2]]

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: the car at rest on the road, the lead car driving."""
        poses, speeds = zip(*(pose(draw(int(seed))) for seed in seeds), strict=True)
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
        own, lead = trace[..., self._own], trace[..., self._lead]
        out = np.linalg.norm(own[..., :2], axis=-1, keepdims=True)
        near = np.linalg.norm(lead[..., :2], axis=-1, keepdims=True)
        return np.concatenate(
            [own, EDGE_M - CAR_M - out, out - ROCK_M - CAR_M, lead, near - 2 * CAR_M], axis=-1
        )

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after the steps of a tick, [N, substeps, ...]."""
        return torch.from_numpy(self.readings(trace[:, -1]).astype(np.float32))

    def _observe(self, first: bool) -> Observation:
        valid = torch.ones(self.batch, len(SENSORS.channels), dtype=torch.bool)
        return self.simulation.observed(self.packed(self.simulation.trace), valid, first)
