"""The `stand` world: a body that can fall, joint velocities out, pushes from nowhere.

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

from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.draws import Draws
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 50.0
LIMIT_RAD_S = 3.0
STANDING_M = 1.0
"""Height of the head above the floor when the body stands straight."""
CAPACITY_J = 60.0
RECHARGE_W = 6.0
HEAT_W_PER_NM2 = 0.12
"""What holding a torque costs a drive that does not move, as in a motor: heat."""
PUSH_STREAM = 5
"""Keeps draws of pushes apart from those of starts and random policies of the same seed."""

SENSORS = Layout(
    (
        Channel("joint_angle", 2, "rad"),
        Channel("joint_speed", 2, "rad/s"),
        Channel("tilt", 1, "rad"),
        Channel("head_height", 1, "m"),
        Channel("torque", 2, "N m"),
        Channel("charge", 1, "1", (0.0,), (1.0,)),
        Channel("impact", 1, "N"),
    )
)
ACTUATORS = Layout(
    (Channel("joint_velocity", 2, "rad/s", (-LIMIT_RAD_S,) * 2, (LIMIT_RAD_S,) * 2),)
)


class Stand:
    """A planar body of leg and torso on a fixed foot, velocity-driven at 50 Hz, pushed at random.

    Sensors: angles (rad) and speeds (rad/s) of ankle and hip, tilt of the torso (rad, 0 upright),
    height of the head (m), torques of the drives (N m), charge of the battery (a share) and impact
    (N, net force of the floor on leg and torso). Torques are limited: leaning far, the body cannot
    raise itself and falls, and lies there until the episode ends. A push is an impulse at the
    chest, at any tick, to either side; no sensor announces it. The battery pays for the drives'
    work and heat, and recharges at a constant rate; that it is empty has no further consequence.
    The world has no goal.
    """

    class Config(Settings):
        """A push of 0.3 to 1 times `push_N_s` comes with probability `push_chance` at each tick."""

        push_N_s: float = Field(default=3.0, ge=0)  # noqa: N815 - unit
        push_chance: float = Field(default=0.015, ge=0, le=1)

    trials = "worlds.stand.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.config, self.batch, self.model = config, batch, load(MODEL)
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        self._scratch = mujoco.MjData(self.model)
        self._joints = sensor_columns(
            self.model, ["ankle_angle", "hip_angle", "ankle_speed", "hip_speed"]
        )
        self._head = sensor_columns(self.model, ["head"])[2:]
        self._torque = sensor_columns(self.model, ["ankle_torque", "hip_torque"])
        self._force = sensor_columns(self.model, ["leg_contact", "torso_contact"])
        self.reset(range(batch))

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: leaning a little, hardly moving, the battery partly full."""
        starts = [start(seed) for seed in seeds]
        self.simulation.place(np.stack([s[0] for s in starts]), np.stack([s[1] for s in starts]))
        self.charge = np.array([s[2] for s in starts])
        self._pushes = Draws([np.random.default_rng((seed, PUSH_STREAM)) for seed in seeds], 3)
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.02 s). Raises PhysicsError if the physics becomes unstable."""
        self._push()
        self.simulation.step(action.command.double().numpy())
        self.charge = self._charged(self.charge, self.simulation.trace)
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    def readings(self, trace: Array) -> Array:
        """Return packed values [..., O - 1] of all sensors but `charge`, from raw readings."""
        joints, force = trace[..., self._joints], trace[..., self._force]
        return np.concatenate(
            [
                joints,
                joints[..., :2].sum(axis=-1, keepdims=True),
                trace[..., self._head],
                trace[..., self._torque],
                np.linalg.norm(force, axis=-1, keepdims=True),
            ],
            axis=-1,
        )

    def packed(self, trace: Array, charge: Array | None = None) -> torch.Tensor:
        """Return what the sensors show [N O] after physics steps with readings [N, substeps, ...].

        Impact is the hardest of all physics steps; every other sensor is read at the last.
        `charge` [N] is the battery's; without it, the copies' present one.
        """
        seen = self.readings(trace[:, -1])
        impact = self.readings(trace)[..., -1].max(axis=1)
        held = self.charge if charge is None else charge
        values = np.column_stack([seen[:, :-1], held, impact])
        return torch.from_numpy(values.astype(np.float32))

    def foreseen(self, trace: Array, rows: Sequence[int]) -> torch.Tensor:
        """Return what sensors will show [n H O] if the copies `rows` [n] go through `trace`.

        `trace` is [n, H, substeps, nsensordata]; pushes to come are not in it.
        """
        charge, seen = self.charge[list(rows)], []
        for tick in range(trace.shape[1]):
            charge = self._charged(charge, trace[:, tick])
            seen.append(self.packed(trace[:, tick], charge))
        return torch.stack(seen, dim=1)

    def _charged(self, charge: Array, trace: Array) -> Array:
        """Return the charge [N] after a tick with readings [N, substeps, ...]."""
        torque, speed = trace[..., self._torque], trace[..., self._joints[2:]]
        drawn_w = np.abs(torque * speed) + HEAT_W_PER_NM2 * torque**2
        gained_w = RECHARGE_W - drawn_w.sum(axis=-1).mean(axis=-1)
        charged: Array = np.clip(charge + gained_w / (RATE_HZ * CAPACITY_J), 0.0, 1.0)
        return charged

    def _push(self) -> None:
        """Change joint speeds as an impulse at the chest does, in the rows that are pushed now."""
        draws = self._pushes.next()
        for row in np.flatnonzero(draws[:, 0] < self.config.push_chance):
            side = 1.0 if draws[row, 1] < 0.5 else -1.0
            impulse = side * (0.3 + 0.7 * draws[row, 2]) * self.config.push_N_s
            self.simulation.state[row] = self._pushed(self.simulation.state[row], impulse)

    def _pushed(self, state: Array, impulse_ns: float) -> Array:
        """Return the state after a horizontal impulse at the chest: dv = M^-1 J^T p."""
        model, data = self.model, self._scratch
        velocity = slice(1 + model.nq, 1 + model.nq + model.nv)
        mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        mujoco.mj_forward(model, data)
        jacobian, change = np.zeros((3, model.nv)), np.zeros((1, model.nv))
        mujoco.mj_jacSite(model, data, jacobian, None, model.site("chest").id)
        mujoco.mj_solveM(model, data, change, impulse_ns * jacobian[:1])
        after = state.copy()
        after[velocity] += change[0]
        return after

    def _observe(self, first: bool) -> Observation:
        valid = torch.ones(self.batch, len(SENSORS.channels), dtype=torch.bool)
        return self.simulation.observed(self.packed(self.simulation.trace), valid, first)


def start(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return joint angles [2] and speeds [2] and the charge of an episode's start, of its seed."""
    rng = np.random.default_rng((seed, 0))
    angles = rng.uniform((-0.12, -0.25), (0.12, 0.25))
    return angles, rng.uniform(-0.3, 0.3, size=2), float(rng.uniform(0.4, 1.0))


__all__ = ["Stand", "start"]
