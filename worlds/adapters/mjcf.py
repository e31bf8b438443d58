"""Any MJCF file as a world: `world: {use: "mjcf:my/robot.xml"}`.

Sensors, actuators and limits are the model's own; `worlds.robots.settings` says what can be set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import mujoco
import numpy as np
import torch
from pydantic import Field

from agent.core.errors import PhysicsError
from agent.core.messages import Action, Observation
from agent.core.spec import Channel, Layout
from worlds.robots.aims import Aims
from worlds.robots.described import Described, described
from worlds.robots.seeing import DEPTH, Seeing
from worlds.robots.settings import Robot
from worlds.simulation import Array, Simulation

STREAM = 6
"""Keeps draws of starts and aims apart from those of random policies of the same seed."""
STRAIGHT = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
"""Joints of one coordinate, whose start is drawn."""
INTEGRATOR, JOINT = int(mujoco.mjtDyn.mjDYN_INTEGRATOR), int(mujoco.mjtTrn.mjTRN_JOINT)
DRAWS, OVERLAP_M = 16, -0.001
"""How often a start is drawn, at most, and how deep bodies may overlap in it."""


class Mjcf:
    """Copies of the robot in an MJCF file, stepped through MuJoCo's threaded rollout.

    Sensors of touch and contact show the hardest physics step of a tick, all others the last.
    Nothing is asked of the robot but what `trial` says, and that only in evaluation.
    """

    class Config(Robot):
        """`path` of the file, from the folder where you stand; the rest as of every `Robot`."""

        path: str = Field(min_length=1)

        def file(self) -> Path:
            """Return the file."""
            return Path(self.path).expanduser()

    trials: Any = None
    sensors = Layout(())
    actuators = Layout(())
    rate_hz = 1.0
    notes: tuple[str, ...] = ()
    found: ClassVar[Described | None] = None

    @classmethod
    def body(cls, config: Robot) -> type[Mjcf]:
        """Return the class of worlds of this robot: sensors, actuators and rate are its own.

        Raises InputError as `worlds.robots.settings.described` does.
        """
        found = described(config)
        own: dict[str, Any] = {
            "sensors": found.sensors,
            "actuators": found.actuators,
            "rate_hz": found.rate_hz,
            "notes": found.notes,
            "found": found,
            "stamp": staticmethod(found.stamp),
        }
        kind: type[Mjcf] = type(cls.__name__, (cls,), own)
        kind.trials = Aims(kind, config)
        if not config.camera:
            return kind
        shown = Channel("camera", DEPTH * config.size**2, "grey", shape=(DEPTH, *[config.size] * 2))
        own = own | {"sensors": Layout((*found.sensors.channels, shown)), "blind": kind}
        return type(f"Seeing{cls.__name__}", (Seeing,), own | {"trials": kind.trials})

    def __init__(self, config: Robot, batch: int) -> None:
        """Build `batch` copies. Raises InputError as `body` does."""
        blind = config.model_copy(update={"camera": ""})
        kind = self.body(blind) if self.found is None else type(self)
        assert kind.found is not None
        self.sensors, self.actuators, self.rate_hz = kind.sensors, kind.actuators, kind.rate_hz
        self.trials, self.notes, self.config, self.batch = kind.trials, kind.notes, config, batch
        self._found, self.model = kind.found, kind.found.model
        self._columns, self._hardest = list(kind.found.columns), list(kind.found.hardest)
        self.simulation = Simulation(self.model, batch, kind.found.substeps)
        self._scratch = mujoco.MjData(self.model)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, at rest near the robot's start."""
        return self.show(np.stack([self.start(seed, 0) for seed in seeds]))

    def show(self, poses: Array) -> Observation:
        """Return what the sensors show at rest in `poses` [B nq]: first ticks."""
        self.simulation.place(poses, act=self._targets(poses))
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick. Raises PhysicsError if the physics becomes unstable."""
        self.simulation.step(action.command.double().numpy())
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., O] from raw sensor readings [..., nsensordata]."""
        return trace[..., self._columns]

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what the sensors show [N O] after a tick with readings [N, substeps, ...]."""
        values = self.readings(trace[:, -1])
        if self._hardest:
            blows = self.readings(trace)[..., self._hardest]
            most = np.abs(blows).argmax(axis=1)[:, None]
            values[:, self._hardest] = np.take_along_axis(blows, most, axis=1)[:, 0]
        return torch.from_numpy(values.astype(np.float32))

    def start(self, seed: int, stream: int) -> Array:
        """Return a pose [nq] at random around the start, a function of seed and stream alone.

        The first of 16 draws in which nothing overlaps, else the one that overlaps least.
        """
        model, rng = self.model, np.random.default_rng((seed, STREAM, stream))
        poses, depths = [], []
        for _ in range(DRAWS):
            poses.append(self._drawn(rng))
            mujoco.mj_resetData(model, self._scratch)
            self._scratch.qpos[:] = poses[-1]
            mujoco.mj_forward(model, self._scratch)
            depths.append(min(self._scratch.contact.dist, default=0.0))
            if depths[-1] >= OVERLAP_M:
                return poses[-1]
        return poses[int(np.argmax(depths))]

    def _drawn(self, rng: np.random.Generator) -> Array:
        model, pose, noise = self.model, self._found.home.copy(), self.config.noise
        for joint in range(model.njnt):
            if int(model.jnt_type[joint]) not in STRAIGHT:
                continue
            at = int(model.jnt_qposadr[joint])
            low, high = pose[at] - noise, pose[at] + noise
            if model.jnt_limited[joint]:
                low, high = np.clip((low, high), *model.jnt_range[joint])
            pose[at] = rng.uniform(low, high)
        return pose

    def _targets(self, poses: Array) -> Array:
        """Return activations [B na]: servos driven in velocity begin where the joints are."""
        model, targets = self.model, np.zeros((len(poses), self.model.na))
        for actuator in np.flatnonzero(model.actuator_dyntype == INTEGRATOR):
            if int(model.actuator_trntype[actuator]) == JOINT:
                joint, slot = model.actuator_trnid[actuator, 0], model.actuator_actadr[actuator]
                place = poses[:, model.jnt_qposadr[joint]] * model.actuator_gear[actuator, 0]
                if model.actuator_actlimited[actuator]:
                    place = place.clip(*model.actuator_actrange[actuator])
                targets[:, slot] = place
        return targets

    def _observe(self, first: bool) -> Observation:
        values = self.packed(self.simulation.trace)
        if not bool(torch.isfinite(values).all()):
            row, column = (~torch.isfinite(values)).nonzero()[0].tolist()
            cut = self._found.sensors.slices()
            name = next(c.name for c, s in cut if s.start <= column < s.stop)
            raise PhysicsError(
                f"mjcf: sensor '{name}' of row {row} shows {float(values[row, column])}; this"
                f" episode is invalid; lower the timestep or the commands"
            )
        valid = torch.ones(self.batch, len(self._found.sensors.channels), dtype=torch.bool)
        return self.simulation.observed(values, valid, first)


__all__ = ["Mjcf"]
