"""A tiny Gymnasium environment, as somebody else would have written it: cost in `info`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tests.tiny import REACH

CHANNELS = [{"name": "place", "size": 1, "unit": "m"}, {"name": "speed", "size": 1, "unit": "m/s"}]
SLOPE: dict[str, Any] = {
    "extends": str(REACH),
    "name": "slope",
    "goal": None,
    "latent": 4,
    "world": {"id": "tests.environments:Slope-v0", "use": "gymnasium", "channels": CHANNELS, "reward": True},
    "perception": {"use": "state", "width": 32, "compressed": []},
    "world_model": {"use": "jepa", "members": 2, "width": 32},
    "readouts": {"use": "probe", "width": 32, "compressed": [], "horizon": 10},
    "critic": {"use": "td_lambda", "steps": 60},
    "cost": {"use": "composite", "anticipation": 0.0},
    "terms": [{"use": "predicted", "quantity": "task_energy", "best": -1.0}],
    "guardrails": [{"use": "at_most", "name": "short_of_the_hazard", "quantity": "place", "limit": 0.5}],
    "configurator": {"use": "fixed", "mode": 2, "horizon": 10},
    "actor": {
        "use": "cem", "samples": 16, "elites": 4, "iterations": 2,
        "policy": {"width": 32, "horizon": 10, "settle": 0, "span": 1.0},
    },
    "gate": {"fallback": [-0.2], "deadline_ms": 0.0},
    "train": {
        "explore": {"episodes": 96, "ticks": 40},
        "learner": {"steps": 500, "batch": 32},
        "readouts": {"steps": 400, "batch": 32, "horizon": 10},
        "distil": {"lessons": 64, "steps": 20},
        "calibrate": {"rounds": 2, "episodes": 16, "segments": 4},
        "detours": None,
    },
    "run": {"seeds": [900_000], "ticks": 6, "reference": False},
    "eval": {"ticks": 50, "oracle_episodes": 0, "checkpoints": []},
}  # fmt: skip
"""An agent on the slope that learns what it is paid, and wants that; trained in seconds."""

DT_S = 0.05
HAZARD_M = 0.6


class Slope(gymnasium.Env[Any, np.ndarray]):
    """A mass on a track from -1 to 1 m, pushed by its only action; beyond 0.6 m lies a hazard.

    Its reward is its place: it pays to be where it is costly. `fatal` ends the episode at 0.9 m,
    `limit` after so many ticks; from tick `broken_at` on it shows NaN. `unpaid`: its reward is NaN. `told` is "box", "dict" or "goal":
    then it is asked to be at a place, `further` by so much from the fifth tick on, and says so;
    `onwards`: once it has been there, at another.
    `fault` is what goes wrong after the first tick: "raise", "silent", "size" of what it shows, or "paid".
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
        fault: str = "",
        further: float = 0.0,
        onwards: bool = False,
    ) -> None:
        self.further, self.onwards = further, onwards
        self.fatal, self.limit, self.broken_at = fatal, limit, broken_at
        self.told, self.costly, self.unpaid, self.fault = told, costly, unpaid, fault
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
        if told == "goal":
            both = {"achieved_goal": place, "desired_goal": place}
            self.observation_space = spaces.Dict({"observation": speed, **both})

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform((-0.8, -0.5), (0.3, 0.5))
        self.goal = self.np_random.uniform(-0.5, 0.5)
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
        self.goal += self.further if self.ticks == 5 else 0.0
        if self.told == "goal":
            info["is_success"] = abs(self.place - self.goal) < 0.05
            self.goal += 0.3 if info["is_success"] and self.onwards else 0.0
        ended = self.fatal and self.place > 0.9
        paid: Any = np.nan if self.unpaid else self.place
        if self.fault == "raise":
            raise RuntimeError("the link\nis lost")
        assert self.fault != "silent"
        if self.fault == "size":
            return np.zeros(3), paid, ended, False, info
        paid = None if self.fault == "paid" else paid
        return self._shown(), paid, ended, self.ticks == self.limit, info

    def _shown(self) -> Any:
        place = np.nan if 0 <= self.broken_at <= self.ticks else self.place
        if self.told == "box":
            return np.array([place, self.speed])
        if self.told == "goal":
            seen = {"achieved_goal": place, "desired_goal": self.goal, "observation": self.speed}
            return {name: np.array([value]) for name, value in seen.items()}
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


class Still(Slope):
    """A slope on which nothing can be pushed, for its only command has one value."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(1.0, 1.0, (1,), np.float64)


class Bodiless(Slope):
    """A slope without actuators."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(0.0, 1.0, (0,), np.float64)


class Stepwise(Slope):
    """A slope that is pushed in whole steps."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-2, 2, (1,), np.int64)


class Endless(Slope):
    """A slope whose push has limits in name only."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-1e10, 1e10, (1,), np.float64)


class Stacked(Slope):
    """A slope seen in four frames, which come first."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (4, 16, 16), np.uint8)


class Silent(Slope):
    """A slope that cannot be built, and does not say why."""

    def __init__(self) -> None:
        assert not Slope


class Unmade(Slope):
    """A slope that cannot be built."""

    def __init__(self) -> None:
        raise RuntimeError("no licence")


for _kind in (Still, Bodiless, Stepwise, Endless, Stacked, Silent, Unmade):
    gymnasium.register(f"{_kind.__name__}-v0", entry_point=f"tests.environments:{_kind.__name__}")
gymnasium.register("Slope-v0", entry_point="tests.environments:Slope", max_episode_steps=20)
gymnasium.register("Choice-v0", entry_point="tests.environments:Choice")
