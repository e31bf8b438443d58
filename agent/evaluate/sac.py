"""Soft actor-critic as the library makes it, learning from the score: what no agent of ours may do.

Source: Haarnoja et al. (2018), SAC; Raffin et al. (2021), stable-baselines3, whose defaults it has.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import torch
from torch import Tensor

from agent.config.build import Blueprint
from agent.config.resolve import target
from agent.core.errors import InputError, MissingExtra
from agent.core.messages import Observation, Task
from worlds.environments import Environment

STEPS = 50
"""Steps between two looks at the clock."""


class Sac:
    """Learns the task of a config by its reward, for as long as it is given; then a policy.

    What it sees is standardised by the library's own running statistics.
    """

    def __init__(self, found: Blueprint, seed: int) -> None:
        """Build an untrained policy for the world and goal of `found`.

        Raises MissingExtra without stable-baselines3, InputError as `paying` does.
        """
        library = library_of()
        from stable_baselines3.common.logger import Logger
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

        self._size = found.singles["world"].kind.sensors.lasting.size
        self._env = VecNormalize(DummyVecEnv([lambda: paying(found)]), norm_reward=False)
        self._model = library.SAC("MlpPolicy", self._env, seed=seed, device="cpu")
        self._model.set_logger(Logger(None, []))  # without: a temporary folder a `learn`
        self.spent_s = 0.0

    @property
    def steps(self) -> int:
        """Steps in the world so far."""
        return int(self._model.num_timesteps)

    def learn(self, until_s: float) -> None:
        """Go on learning until it has done so for `until_s` seconds of wall-clock in all."""
        while self.spent_s < until_s:
            begin = time.monotonic()
            self._model.learn(STEPS, reset_num_timesteps=False)
            self.spent_s += time.monotonic() - begin

    def __call__(self, index: int, seen: Observation, task: Task) -> Tensor:
        """Return the commands [B A] that it holds for best, without its noise."""
        values = torch.cat((task.goal, seen.values[:, : self._size]), dim=1).numpy()
        chosen, _ = self._model.predict(self._env.normalize_obs(values), deterministic=True)
        return torch.from_numpy(chosen).float()

    def close(self) -> None:
        """Release the world it learned in."""
        self._env.close()


def paying(found: Blueprint) -> gymnasium.Env[Any, Any]:
    """Return the world of a config as an environment that pays for what trials score.

    It shows the goal, if there is one, and then the sensors, [G + O]. It pays minus the distance
    from the goal, or what trials or an environment of others' pay. Episodes have seeds of training
    and the length of evaluation's. Raises InputError for a world that is seen by a camera.
    """
    part, goal = found.singles["world"], found.config.goal or ""
    if part.kind.sensors != part.kind.sensors.scalars:
        raise InputError(
            f"sac: expected a world of scalar sensors, came {part.use}, which is seen by a camera;"
            f" compare on its state"
        )
    settings = part.settings.model_dump()
    if "reward" in settings:
        settings["reward"] = False  # it is paid, not shown
    env: Any = Environment(target("world", part.use), goal, **settings)
    if goal:
        parts = gymnasium.wrappers.FilterObservation(env, ["desired_goal", "observation"])
        env = gymnasium.wrappers.FlattenObservation(parts)
    return gymnasium.wrappers.TimeLimit(env, found.config.eval.ticks)


def library_of() -> Any:
    """Import stable-baselines3. Raises MissingExtra where it is not installed."""
    try:
        import stable_baselines3
    except ImportError:
        raise MissingExtra(
            "sac: expected the package 'stable-baselines3', found none; pip install"
            " -e '.[bench]', or leave it out with --budget 0"
        ) from None
    return stable_baselines3


__all__ = ["Sac", "library_of", "paying"]
