"""A tiny Gymnasium environment, as somebody else would have written it: cost in `info`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

DT_S = 0.05
HAZARD_M = 0.6


class Slope(gymnasium.Env[Any, np.ndarray]):
    """A mass on a track from -1 to 1 m, pushed by its only action; beyond 0.6 m lies a hazard.

    Its reward is its place: it pays to be where it is costly. `fatal` ends the episode at 0.9 m,
    `limit` after so many ticks; from tick `broken_at` on it shows NaN. `unpaid`: its reward is NaN. `told` is "box" or "dict".
    """

    metadata = {"render_modes": [], "render_fps": 20}

    def __init__(
        self,
        fatal: bool = False,
        limit: int = 0,
        broken_at: int = -1,
        told: str = "box",
        costly: bool = True,
        unpaid: bool = False,
    ) -> None:
        self.fatal, self.limit, self.broken_at = fatal, limit, broken_at
        self.told, self.costly, self.unpaid = told, costly, unpaid
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)
        place = spaces.Box(-1.0, 1.0, (1,), np.float64)
        speed = spaces.Box(-4.0, 4.0, (1,), np.float64)
        view = spaces.Box(0, 255, (2, 4, 3), np.uint8)
        self.observation_space: spaces.Space[Any] = spaces.Box(
            np.array([-1.0, -4.0]), np.array([1.0, 4.0]), dtype=np.float64
        )
        if told == "dict":
            inner = spaces.Dict({"speed": speed})
            self.observation_space = spaces.Dict({"view": view, "place": place, "inner": inner})

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform((-0.8, -0.5), (0.3, 0.5))
        self.ticks = 0
        return self._shown(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space, action
        self.speed += DT_S * (4.0 * float(action[0]) - self.speed)
        moved = self.place + DT_S * self.speed
        self.place = float(np.clip(moved, -1.0, 1.0))
        self.speed = 0.0 if moved != self.place else self.speed
        self.ticks += 1
        info = {"cost": float(self.place > HAZARD_M)} if self.costly else {}
        ended = self.fatal and self.place > 0.9
        paid = np.nan if self.unpaid else self.place
        return self._shown(), paid, ended, self.ticks == self.limit, info

    def _shown(self) -> Any:
        place = np.nan if 0 <= self.broken_at <= self.ticks else self.place
        if self.told == "box":
            return np.array([place, self.speed])
        view = np.zeros((2, 4, 3), np.uint8)
        view[:, int((self.place + 1) * 1.99), 2] = 255
        return {
            "view": view,
            "place": np.array([place]),
            "inner": {"speed": np.array([self.speed])},
        }


class Choice(Slope):
    """A slope with two buttons instead of a push."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(2)  # type: ignore[assignment]


gymnasium.register("Slope-v0", entry_point="tests.environments:Slope", max_episode_steps=20)
gymnasium.register("Choice-v0", entry_point="tests.environments:Choice")
