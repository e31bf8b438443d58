"""Many copies of one MuJoCo model stepping in parallel through its threaded rollout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
import torch
from mujoco import rollout
from numpy.typing import NDArray
from torch import Tensor

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Observation

Array = NDArray[np.float64]
FULL = int(mujoco.mjtState.mjSTATE_FULLPHYSICS)

BEGIN_S = 1.0
"""Of MuJoCo's clock, where episodes begin: a reset puts it to 0, so that none passes for a tick."""


def load(path: Path) -> mujoco.MjModel:
    """Compile an MJCF file. Raises InputError if it is missing or not valid MJCF."""
    if not path.is_file():
        raise InputError(f"world: expected an MJCF file at {path}, found none; restore the file")
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as fault:
        reason = " ".join(str(fault).split())
        raise InputError(f"world: {path} is not a valid MJCF model: {reason}; fix it") from fault


class Simulation:
    """`batch` copies of a model, stepped `substeps` physics steps at a time.

    `state` [B, nstate] is the full physics state; `trace` [B, substeps, nsensordata] the sensor
    readings at every physics step of the last call, so that scoring misses nothing between
    ticks. MuJoCo's threaded rollout is bit-equal to stepping in a single thread.
    """

    def __init__(self, model: mujoco.MjModel, batch: int, substeps: int) -> None:
        """Allocate one MjData per thread and put all copies at the model's default pose."""
        self.model, self.batch, self.substeps = model, batch, substeps
        self.models = [model] * batch
        """The law each copy obeys; a row may be given its own, of the same sizes."""
        threads = min(batch, os.cpu_count() or 1)
        self._fitting: list[mujoco.MjModel] = []
        self._control: Array = np.empty((batch, substeps, model.nu))
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        self._pool = rollout.Rollout(nthread=threads if threads > 1 else 0)
        self.state: Array = np.zeros((batch, mujoco.mj_stateSize(model, FULL)))
        self.trace: Array = np.zeros((batch, substeps, model.nsensordata))

    def place(self, qpos: Array, qvel: Array | None = None, act: Array | None = None) -> None:
        """Put the copies at joint positions `qpos` [B, nq], at the beginning of an episode.

        `qvel` [B, nv] are their velocities; without, they are at rest. `act` [B, na] are the
        activations of their actuators; without, 0.
        """
        data = self._data[0]
        for row, pose in enumerate(qpos):
            mujoco.mj_resetData(self.model, data)
            data.time, data.qpos[:] = BEGIN_S, pose
            if qvel is not None:
                data.qvel[:] = qvel[row]
            if act is not None:
                data.act[:] = act[row]
            mujoco.mj_forward(self.model, data)
            mujoco.mj_getState(self.model, data, self.state[row], FULL)
            self.trace[row] = data.sensordata

    def step(self, command: Array) -> None:
        """Advance every copy under `command` [B, nu], held for all substeps.

        Raises PhysicsError if any copy became unstable: MuJoCo would reset it silently,
        which is a teleport. Raises InputError for commands of another shape.
        """
        if command.shape != (self.batch, self.model.nu):
            raise InputError(
                f"simulation: expected commands [{self.batch} {self.model.nu}], came"
                f" {list(command.shape)}; send one row for each copy"
            )
        self._control[:] = command[:, None, :]
        states, trace = self.branch(self.state, self._control)
        last = states[:, -1].copy()
        expected = self.state[:, 0] + self.substeps * self.model.opt.timestep
        timely = np.abs(last[:, 0] - expected) <= 1e-9
        if not timely.all() or not np.isfinite(last).all():
            rows = np.flatnonzero(~timely | ~np.isfinite(last).all(axis=1)).tolist()
            raise PhysicsError(
                f"simulation: physics became unstable in rows {rows};"
                f" these episodes are invalid; lower the timestep or the commands"
            )
        self.state, self.trace = last, trace

    def branch(self, state: Array, control: Array) -> tuple[Array, Array]:
        """Return states and sensor readings of `control` [N, steps, nu] from `state` [N, nstate].

        The simulation itself does not move. Shapes: [N, steps, nstate], [N, steps, nsensordata].
        Raises InputError if `models` are of different sizes.
        """
        (rows, size), steps = state.shape, control.shape[1]
        own = rows == self.batch
        models = self.models if own else [self.model] * rows
        if own and models != self._fitting:
            self._fit(models)
        states = np.empty((rows, steps, size))
        trace = np.empty((rows, steps, self.model.nsensordata))
        self._pool.rollout(
            models,
            self._data,
            state,
            control,
            skip_checks=True,  # MuJoCo's compare all models at every call, as long as a light tick
            nstep=steps,
            state=states,
            sensordata=trace,
        )
        return states, trace

    def _fit(self, models: list[mujoco.MjModel]) -> None:
        """Compare the models of the copies with ours, once until one is replaced."""
        expected = _sizes(self.model)
        for row, model in enumerate(models):
            if _sizes(model) != expected:
                raise InputError(
                    f"simulation: expected a model of sizes {expected} in row {row}, came"
                    f" {_sizes(model)}; alter numbers of the model, not what it is made of"
                )
        self._fitting = list(models)

    def observed(self, values: Tensor, valid: Tensor, first: bool) -> Observation:
        """Return what sensors show now as an observation: `values` [B O], `valid` [B S]."""
        time_s = torch.from_numpy((self.state[:, 0] - BEGIN_S).astype(np.float32))
        return Observation(values, valid, time_s, torch.full((self.batch,), first))

    def restore(self, state: Array) -> None:
        """Put the copies into full physics states [B, nstate] taken from `state` earlier."""
        self.state = state.copy()

    @property
    def qpos(self) -> Array:
        """Joint positions of every copy, [B, nq]."""
        return self.state[:, 1 : 1 + self.model.nq]

    @property
    def qvel(self) -> Array:
        """Joint velocities of every copy, [B, nv]."""
        return self.state[:, 1 + self.model.nq : 1 + self.model.nq + self.model.nv]

    def close(self) -> None:
        """Stop the worker threads."""
        self._pool.close()


def _sizes(model: mujoco.MjModel) -> tuple[int, int, int, int]:
    """Return the sizes that MuJoCo's rollout takes for granted: state, nu, nv, nsensordata."""
    return mujoco.mj_stateSize(model, FULL), model.nu, model.nv, model.nsensordata


def sensor_columns(model: mujoco.MjModel, names: Sequence[str]) -> list[int]:
    """Return the columns of sensordata that the named sensors fill, in order."""
    columns: list[int] = []
    for name in names:
        sensor = model.sensor(name)
        columns += range(sensor.adr[0], sensor.adr[0] + sensor.dim[0])
    return columns
