"""The `reach` world: joint angles in, joint velocities out, a post in the way.

Order of this file, as of every world: constants, the world, its named readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from agent.core.errors import InputError
from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.outages import Outages
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 20.0
LIMIT_RAD_S = 3.0
REACH_M = 0.55
START_CLEARANCE_M = 0.05

SENSORS = Layout(
    (
        Channel("joint_angle", 2, "rad"),
        Channel("joint_speed", 2, "rad/s"),
        Channel("fingertip", 2, "m"),
        Channel("proximity", 1, "m"),
        Channel("impact", 1, "N"),
    )
)
ACTUATORS = Layout(
    (Channel("joint_velocity", 2, "rad/s", (-LIMIT_RAD_S,) * 2, (LIMIT_RAD_S,) * 2),)
)


class Reach:
    """A planar two-joint arm, velocity-driven at 20 Hz, beside a post it can collide with.

    Sensors: joint angles (rad) and speeds (rad/s), fingertip position (m), proximity (m, the
    least distance between arm and post, negative in contact) and impact (N, net contact force).
    Where the post stands is shown by no sensor; it has to be learned. The world has no goal.
    """

    class Config(Settings):
        """Parameters of the world; the three scales change the body that an agent learned.

        `mass_scale` multiplies mass and inertia of both links, `friction_scale` the viscous
        friction of both joints, `gain_scale` the speed that a command asks the drives for.
        `dropout` is the probability, per tick and sensor, that an outage of `outage_ticks` begins:
        the sensor then reads 0 and says that it is not valid. Goals and scores do not notice.
        """

        mass_scale: float = 1.0
        friction_scale: float = 1.0
        gain_scale: float = 1.0
        dropout: float = Field(default=0.0, ge=0.0, le=1.0)
        outage_ticks: int = Field(default=10, ge=1)

    trials = "worlds.reach.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        for name in ("mass_scale", "friction_scale", "gain_scale"):
            scale = getattr(config, name)
            if scale <= 0:
                raise InputError(f"reach: {name} must be above 0, came {scale}; try 1.0")
        self.model = load(MODEL)
        self.model.body_mass[:] *= config.mass_scale
        self.model.body_inertia[:] *= config.mass_scale
        self.model.dof_damping[:] *= config.friction_scale
        self.model.actuator_gainprm[:] *= config.gain_scale
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.batch = batch
        self.simulation = Simulation(self.model, batch, substeps)
        self._outages = Outages(SENSORS, batch, config.dropout, config.outage_ticks)
        self._joints = sensor_columns(
            self.model, ["shoulder_angle", "elbow_angle", "shoulder_speed", "elbow_speed"]
        )
        self._tip = sensor_columns(self.model, ["fingertip"])[:2]
        self._distance = sensor_columns(self.model, ["upper_arm_distance", "forearm_distance"])
        self._force = sensor_columns(self.model, ["upper_arm_contact", "forearm_contact"])

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, at rest in a random pose clear of the post."""
        self._outages.reset(seeds)
        self.simulation.place(np.stack([start(seed) for seed in seeds]))
        return self._observe(first=True)

    def show(self, poses: NDArray[np.float64]) -> Observation:
        """Return what the sensors show at rest in joint angles `poses` [B 2] (rad): first ticks."""
        self._outages.reset(range(len(poses)))
        self.simulation.place(poses)
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
        force = trace[..., self._force]
        return np.concatenate(
            [
                trace[..., self._joints],
                trace[..., self._tip],
                trace[..., self._distance].min(axis=-1, keepdims=True),
                np.linalg.norm(force, axis=-1, keepdims=True),
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


_MODEL_CACHE: list[tuple[mujoco.MjModel, mujoco.MjData]] = []


def clear_pose(rng: np.random.Generator, clearance_m: float) -> tuple[Array, Array, float]:
    """Draw joint angles [2] whose arm keeps `clearance_m` from the post.

    Returns the angles, the fingertip [2] and the clearance (m).
    """
    if not _MODEL_CACHE:
        model = load(MODEL)
        _MODEL_CACHE.append((model, mujoco.MjData(model)))
    model, data = _MODEL_CACHE[0]
    low, high = model.jnt_range.T * 0.95
    near = sensor_columns(model, ["upper_arm_distance", "forearm_distance"])
    while True:
        data.qpos[:] = rng.uniform(low, high)
        data.qvel[:] = 0.0
        mujoco.mj_forward(model, data)
        clearance = float(data.sensordata[near].min())
        if clearance >= clearance_m:
            tip = data.sensor("fingertip").data[:2]
            return data.qpos.copy(), tip.copy(), clearance


def start(seed: int) -> NDArray[np.float64]:
    """Return the start pose [2] of an episode, a function of its seed alone."""
    return clear_pose(np.random.default_rng((seed, 0)), START_CLEARANCE_M)[0]
