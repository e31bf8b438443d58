"""Gymnasium's own bodies, as Gymnasium's own vector environments and envpool step them.

Both go through the same commands as we do and never reset on the way: no copy ends its episode.
Source: Towers et al. (2024), Gymnasium; Weng et al. (2022), EnvPool.
"""

from __future__ import annotations

import inspect
import os
import time
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agent.core.errors import InputError, MissingExtra

FOREVER = 1_000_000
"""Ticks that nobody takes."""
NOISE = 0.01
"""How near (rad or m) to its default pose a body starts: as Gymnasium's own do, or about so."""


def body(id_: str) -> dict[str, Any]:
    """Return the body of Gymnasium's environment `id_`, as a config would say it.

    It is the environment's own file, at as many physics steps a tick, and shows all positions
    and velocities of joints. Raises InputError if there is none, or if it is not MuJoCo's.
    """
    try:
        env = _made(id_)
    except (gymnasium.error.Error, ImportError) as fault:
        reason = " ".join(str(fault).split())
        raise InputError(f"bench world: no environment '{id_}': {reason} Correct it") from fault
    inner: Any = env.unwrapped
    if not isinstance(inner, MujocoEnv):
        env.close()
        raise InputError(f"bench world: expected an environment of MuJoCo, came '{id_}'")
    rate_hz = 1.0 / (inner.frame_skip * inner.model.opt.timestep)
    part = {"use": f"mjcf:{inner.fullpath}", "rate_hz": rate_hz, "joints": True, "noise": NOISE}
    env.close()
    return part


class Endless(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes do not end, and begin where `start` says.

    `start` is positions [nq] and velocities [nv]; None leaves it to the environment.
    """

    start: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        seen, said = self.env.reset(**given)
        if self.start is None:
            return seen, said
        inner: Any = self.env.unwrapped
        inner.set_state(*self.start)
        return inner._get_obs(), said

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance one tick."""
        seen, paid, _, _, said = self.env.step(action)
        return seen, paid, False, False, said


class Vectors:
    """Gymnasium's vector environment of a world's body, in `mode` 'sync' or 'async'."""

    def __init__(self, id_: str, mode: str, world: Any, commands: NDArray[np.float32]) -> None:
        """Make as many copies of the environment as `world` has, to go through its `commands`."""
        self._world, self._commands = world, commands
        self.envs = gymnasium.make_vec(
            id_,
            num_envs=world.batch,
            vectorization_mode=mode,
            wrappers=[Endless],
            vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED},
            max_episode_steps=-1,
            **_bare(id_),
        )
        self.seen: Any = None
        """What the copies showed last [B O]."""

    def __call__(self, ticks: int) -> float:
        """Take so many ticks from the world's start, and return the seconds they took."""
        self._world.reset(range(self._world.batch))
        nq, nv = self._world.model.nq, self._world.model.nv
        state = self._world.simulation.state
        places, speeds = state[:, 1 : 1 + nq].copy(), state[:, 1 + nq : 1 + nq + nv].copy()
        self.envs.set_attr("start", list(zip(places, speeds, strict=True)))
        self.envs.reset(seed=0)
        begin = time.perf_counter()
        for told in self._commands[:ticks]:
            self.seen = self.envs.step(told)[0]
        return time.perf_counter() - begin

    def close(self) -> None:
        """Close the environments, and end their processes where they have their own."""
        self.envs.close()


class Pool:
    """envpool's copies of the environment `id_`, as many threads as cores; its own starts."""

    def __init__(self, id_: str, world: Any, commands: NDArray[np.float32]) -> None:
        """Make them. Raises MissingExtra without envpool, and where it has no such task."""
        try:
            import envpool
        except ImportError:
            raise MissingExtra(
                "bench world: expected the package 'envpool', found none; pip install -e '.[pace]'"
            ) from None
        if id_ not in envpool.list_all_envs():
            raise MissingExtra(f"bench world: this envpool has no task '{id_}'; it is left out")
        self._commands = commands
        threads = min(world.batch, os.cpu_count() or 1)
        given = _endless(envpool.make_spec(id_).config._asdict())
        self.envs = envpool.make_gymnasium(
            id_, num_envs=world.batch, num_threads=threads, seed=0, **given
        )

    def __call__(self, ticks: int) -> float:
        """Take so many ticks from a start, and return the seconds they took."""
        commands = self._commands[:ticks].astype(np.float64)
        self.envs.reset()
        begin = time.perf_counter()
        for told in commands:
            self.envs.step(told)
        return time.perf_counter() - begin

    def close(self) -> None:
        """End its threads."""
        self.envs.close()


def _bare(id_: str) -> dict[str, bool]:
    """Return the settings with which an environment shows no more than positions and velocities."""
    env = _made(id_)
    asked = inspect.signature(type(env.unwrapped)).parameters
    env.close()
    more = [k for k in asked if k.startswith("include_") and k.endswith("_in_observation")]
    return dict.fromkeys(more, False)


def _endless(config: dict[str, Any]) -> dict[str, Any]:
    """Return those settings of an envpool task without which its episodes would end."""
    given: dict[str, Any] = {"max_episode_steps": FOREVER}
    if "terminate_when_unhealthy" in config:
        return given | {"terminate_when_unhealthy": False}
    bounds = {"healthy_z_min": -1e9, "healthy_z_max": 1e9}
    return given | {key: value for key, value in bounds.items() if key in config}


def _made(id_: str) -> gymnasium.Env[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its file says to MuJoCo
        return gymnasium.make(id_)


__all__ = ["Endless", "Pool", "Vectors", "body"]
