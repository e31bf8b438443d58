"""Tasks of the DeepMind Control Suite as worlds: `world: {use: "dmc:walker-walk"}`; extra `dmc`.

A task becomes a Gymnasium environment, and the adapter for those does the rest: the agent gets the
task's own observation, its reward is for scorers.
Source: Tassa et al. (2018), DeepMind Control Suite.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from pydantic import Field

from agent.core.errors import InputError, MissingExtra, PhysicsError, nearest
from agent.core.settings import Settings
from worlds.adapters.gymnasium import Gymnasium
from worlds.adapters.spaces import Named


class Dmc(Gymnasium):
    """Copies of a task of the DeepMind Control Suite, stepped in lock-step.

    Each of its observations is a sensor. The time limit of 1,000 steps is lifted, as configs say
    how long episodes are; `eval` tells the sum of rewards as `return`.
    """

    class Config(Settings):
        """`task` is domain and task, `cartpole-swingup`; the rest is as of `gymnasium`."""

        task: str = Field(min_length=1)
        channels: list[Named] = []
        rate_hz: float = Field(default=0.0, ge=0)
        repeat: int = Field(default=1, ge=1)
        reward: bool = False
        goals: ClassVar[bool] = False

        def energies(self) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
            """Return between what minus a reward lies: a task pays 0 to 1; of `lqr`, unknown."""
            return (None, None) if self.task.startswith("lqr") else ((-1.0,), (0.0,))

        def label(self) -> str:
            """Return the task's name, for people."""
            return self.task

        def made(self) -> gymnasium.Env[Any, Any]:
            """Return one copy. Raises InputError for an unknown task, MissingExtra without dmc."""
            return Task(_loaded(self.task))


class Task(gymnasium.Env[Any, Any]):
    """A task of the suite behind Gymnasium's face; a new episode is a function of its seed."""

    def __init__(self, env: Any) -> None:
        """Stand before a dm_control environment."""
        self._env, self.dt = env, float(env.control_timestep())
        self.parts = (env, env.task)
        """What remembers an episode besides the physics."""
        self.metadata = {"render_modes": []}
        limits = env.action_spec()
        low, high = (np.broadcast_to(v, limits.shape) for v in (limits.minimum, limits.maximum))
        self.action_space = spaces.Box(low, high, dtype=np.float64)
        shapes = {name: seen.shape for name, seen in env.observation_spec().items()}
        boxes = {name: spaces.Box(-np.inf, np.inf, s, np.float64) for name, s in shapes.items()}
        self.observation_space = spaces.Dict(boxes)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        if seed is not None:
            self._env.task.random.seed(seed)
        return dict(self._env.reset().observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance one tick. Raises PhysicsError if the physics becomes unstable."""
        from dm_control.rl.control import PhysicsError as Unstable

        try:
            told = self._env.step(action)
        except Unstable as fault:
            reason = " ".join(str(fault).split())
            raise PhysicsError(
                f"dmc: {reason}; this episode is invalid; lower the commands"
            ) from fault
        paid = 0.0 if told.reward is None else float(told.reward)
        over = bool(told.last())
        return dict(told.observation), paid, over and told.discount == 0.0, over, {}

    @property
    def model(self) -> Any:
        """MuJoCo's own model."""
        return self._env.physics.model.ptr

    @property
    def data(self) -> Any:
        """MuJoCo's own data, which the task steps."""
        return self._env.physics.data.ptr

    def close(self) -> None:
        """Release the physics."""
        self._env.close()


def _loaded(name: str) -> Any:
    """Return a dm_control environment without a time limit."""
    suite = suite_of()
    known = {f"{domain}-{task}": (domain, task) for domain, task in suite.ALL_TASKS}
    if name not in known:
        raise InputError(
            f"world (dmc): expected domain-task of the suite, came '{name}'; {nearest(name, known)}"
        )
    forever = {"time_limit": float("inf"), "random": 0}
    return suite.load(*known[name], task_kwargs=forever)


def suite_of() -> Any:
    """Import dm_control without a renderer, which it would otherwise look for, with a warning."""
    given = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        from dm_control import suite
    except ImportError:
        raise MissingExtra(
            "world (dmc): expected the package 'dm-control', found none; pip install -e '.[dmc]'"
        ) from None
    finally:
        if given is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = given
    return suite


__all__ = ["Dmc", "suite_of"]
