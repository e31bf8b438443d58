"""How fast a world is stepped, by us and by others, on the same model, from the same starts.

Every contestant steps the same copies through the same commands; one step is one tick of one copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from numpy.typing import NDArray

from agent.core.messages import Action
from worlds.adapters.dmc import suite_of
from worlds.vectors import Pool, Vectors

Pace = Callable[[int], float]
"""Takes so many ticks from the start, and returns the seconds they took."""


def closed_loop(world: Any, commands: NDArray[np.float32]) -> Pace:
    """Return our own way: a command for every copy [T B A], and all observations, tick by tick."""

    def go(ticks: int) -> float:
        world.reset(range(world.batch))
        actions = [Action(torch.from_numpy(c)) for c in commands[:ticks]]
        begin = time.perf_counter()
        for action in actions:
            world.step(action)
        return time.perf_counter() - begin

    return go


def open_loop(world: Any, commands: NDArray[np.float32]) -> Pace:
    """Return MuJoCo's threaded rollout of all commands in one call, nobody looking in between."""

    def go(ticks: int) -> float:
        world.reset(range(world.batch))
        simulation = world.simulation
        control = commands[:ticks].transpose(1, 0, 2).astype(np.float64)
        control = np.ascontiguousarray(np.repeat(control, simulation.substeps, axis=1))
        begin = time.perf_counter()
        simulation.branch(simulation.state, control)
        return time.perf_counter() - begin

    return go


class OneByOne:
    """Copies with MuJoCo data of their own: a `tick` steps them all, in one thread."""

    def __init__(
        self,
        world: Any,
        commands: NDArray[np.float32],
        copies: Sequence[Any],
        tick: Callable[[Any], Any],
    ) -> None:
        """Step `copies`, MuJoCo's data, through `commands` [T B A] by `tick`."""
        self._world, self._commands = world, commands
        self.copies, self._tick = copies, tick

    def __call__(self, ticks: int) -> float:
        """Take so many ticks from the start, and return the seconds they took."""
        self._world.reset(range(self._world.batch))
        model, kind = self._world.model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS)
        for data, state in zip(self.copies, self._world.simulation.state, strict=True):
            mujoco.mj_resetData(model, data)
            mujoco.mj_setState(model, data, state, kind)
            mujoco.mj_forward(model, data)
        begin = time.perf_counter()
        for told in self._commands[:ticks]:
            self._tick(told)
        return time.perf_counter() - begin


def mj_step(world: Any, commands: NDArray[np.float32]) -> OneByOne:
    """Return the plain loop over copies, one call of `mj_step` for a tick, in one thread."""
    model, substeps = world.model, world.simulation.substeps
    copies = [mujoco.MjData(model) for _ in range(world.batch)]

    def tick(told: Any) -> None:
        for data, command in zip(copies, told, strict=True):
            data.ctrl[:] = command
            mujoco.mj_step(model, data, nstep=substeps)

    return OneByOne(world, commands, copies, tick)


def gymnasium_sync(world: Any, commands: NDArray[np.float32]) -> OneByOne:
    """Return Gymnasium's SyncVectorEnv over its own MujocoEnv, observing the model's sensors."""
    made = [_Plain(world.model, world.simulation.substeps) for _ in range(world.batch)]
    envs = gymnasium.vector.SyncVectorEnv([lambda env=env: env for env in made])
    envs.reset(seed=0)
    return OneByOne(world, commands, [env.data for env in made], envs.step)


def dm_control(world: Any, commands: NDArray[np.float32]) -> OneByOne:
    """Return dm_control's Physics, copy by copy. Raises MissingExtra where it is not installed."""
    suite_of()
    from dm_control.mujoco import Physics, wrapper

    substeps = world.simulation.substeps
    copies = [Physics.from_model(wrapper.MjModel(world.model)) for _ in range(world.batch)]

    def tick(told: Any) -> None:
        for physics, command in zip(copies, told, strict=True):
            physics.set_control(command)
            physics.step(substeps)
            physics.data.sensordata.copy()

    return OneByOne(world, commands, [physics.data.ptr for physics in copies], tick)


Contestant = Callable[[Any, NDArray[np.float32]], Pace]
"""Makes a pace of a world and commands. Raises MissingExtra where what it needs is missing."""
CONTESTANTS: dict[str, Contestant] = {
    "rollout": open_loop,
    "mj_step": mj_step,
    "gymnasium": gymnasium_sync,
    "dm_control": dm_control,
}
"""Those that we are compared with, by name."""


def contestants(id_: str | None = None) -> list[dict[str, Contestant]]:
    """Return those that we are compared with, by name, in groups that take turns with us.

    In the body of Gymnasium's environment `id_` Gymnasium steps that environment, as it does for
    everybody, and envpool steps its own of that name. Gymnasium with a process for each copy is a
    group of its own: whoever comes after so many processes is slowed down by them.
    """
    if id_ is None:
        return [CONTESTANTS]
    own = {"gymnasium": partial(Vectors, id_, "sync"), "envpool": partial(Pool, id_)}
    return [CONTESTANTS | own, {"gymnasium_async": partial(Vectors, id_, "async")}]


def commands(world: Any, ticks: int, seed: int = 0) -> NDArray[np.float32]:
    """Return commands [T B A] at random within the inner half of the actuators' limits."""
    low, high = (v.numpy() for v in world.actuators.bounds())
    share = np.random.default_rng(seed).uniform(0.25, 0.75, (ticks, world.batch, len(low)))
    drawn: NDArray[np.float32] = (low + (high - low) * share).astype(np.float32)
    return drawn


class _Plain(MujocoEnv):
    """Gymnasium's MujocoEnv of a model, as its own environments use it, with sensors as view."""

    def __init__(self, model: mujoco.MjModel, substeps: int) -> None:
        self._given = model
        box = spaces.Box(-np.inf, np.inf, (model.nsensordata,), np.float64)
        self.metadata = {"render_modes": []}
        super().__init__(__file__, substeps, box)
        limits = (-np.inf, np.inf)
        self.action_space = spaces.Box(*limits, (model.nu,), np.float32)

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self._given, mujoco.MjData(self._given)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.do_simulation(action, self.frame_skip)
        return self.data.sensordata.copy(), 0.0, False, False, {}

    def reset_model(self) -> Any:
        return self.data.sensordata.copy()


__all__ = ["CONTESTANTS", "Contestant", "Pace", "closed_loop", "commands", "contestants"]
