"""Our worlds as Gymnasium environments: `gymnasium.make("housecat/reach-v0")`.

For everybody who has an agent of their own: the body's sensors, the goal that trials set, minus the
distance to it as the reward, and in `info` what truly happened (`cost`, `is_success`). No agent of
ours looks here. `import worlds.environments` registers them; where the project is
installed, Gymnasium finds them by itself.
Source: Towers et al. (2024), Gymnasium; Plappert et al. (2018), Multi-Goal RL, for goals in a Dict.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import ValidationError

from agent.core.errors import InputError, nearest
from agent.core.messages import Action, Observation

REGISTERED: dict[str, tuple[str, str, int]] = {
    "cliff": ("Cliff", "position", 80),
    "lead": ("Lead", "lead_position", 70),
    "push": ("Push", "position", 100),
    "push_pixels": ("PushPixels", "position", 100),
    "reach": ("Reach", "fingertip", 100),
    "reach_pixels": ("ReachPixels", "fingertip", 100),
    "rooms": ("Rooms", "position", 200),
    "rooms_pixels": ("RoomsPixels", "position", 200),
    "screens": ("Screens", "position", 260),
    "stand": ("Stand", "", 200),
    "swingup": ("Swingup", "tip", 160),
    "swingup_pixels": ("SwingupPixels", "tip", 160),
}
"""World → its class, the sensor that its goals are about, and how many ticks an episode has.

`toys` is not among them: it is watched, not acted in."""

DEVELOPMENT_SEEDS = 900_000
"""Episodes without a seed of their own have one below, those of training, unless told otherwise."""


class Environment(gymnasium.Env[Any, NDArray[np.float32]]):
    """One copy of a world. Actions are commands in the actuators' units and within their limits.

    With a goal, observations are a Dict: `observation`, all sensors but images; `achieved_goal` and
    `desired_goal`; else a Box of sensors. Images have an entry each, by their name. The reward is
    minus the distance from the goal, in its unit; without one, 1 for every tick so far of which
    trials say that all is well, then 0. `info["cost"]` is 1 for a tick that broke a limit which
    trials count, at any physics step of it. What others made pays its own reward, and says itself
    when an episode is over. `reset(seed=s)` starts the episode of that seed, the same that `eval`
    lives. Worlds may ask more from seed 900,000 on. Physics that becomes unstable raises
    PhysicsError.
    """

    def __init__(
        self,
        world: str,
        goal: str = "",
        seeds: tuple[int, int] = (0, DEVELOPMENT_SEEDS),
        **settings: Any,
    ) -> None:
        """Build the world `module:Class` with its `settings`; `goal` is a sensor's name.

        A reset without a seed draws one from `seeds[0]` on and below `seeds[1]`. Raises InputError
        for seeds that are no range, settings that the world does not have, or such a sensor.
        """
        if len(seeds) != 2 or not 0 <= seeds[0] < seeds[1]:
            raise InputError(
                f"environment: expected seeds as a range (first, end), came {tuple(seeds)}; give"
                f" (0, {DEVELOPMENT_SEEDS}), or begin there for episodes like those of evaluation"
            )
        self._seeds = seeds
        module, _, name = world.partition(":")
        kind = getattr(importlib.import_module(module), name)
        self._world = kind(_settings(kind, settings), 1)
        trials = self._world.trials
        self._trials = importlib.import_module(trials) if isinstance(trials, str) else trials
        self._open = True
        sensors, self._scalars = self._world.sensors, self._world.sensors.scalars
        if goal and goal not in sensors.names:
            raise InputError(
                f"environment: expected a goal about a sensor of this world, came '{goal}';"
                f" {nearest(goal, sensors.names)}"
            )
        self._goal = sensors[goal] if goal else None
        self.metadata = {"render_modes": [], "render_fps": round(self._world.rate_hz)}
        low, high = (v.numpy() for v in self._world.actuators.bounds())
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        low, high = (v.numpy() for v in self._scalars.bounds())
        inner: dict[str, Any] = {"observation": spaces.Box(low, high, dtype=np.float32)}
        if goal:
            far = spaces.Box(-np.inf, np.inf, (sensors.channel(goal).size,), np.float32)
            inner |= {"achieved_goal": far, "desired_goal": far}
        for channel in sensors.channels[len(self._scalars.channels) :]:
            inner[channel.name] = spaces.Box(0, 255, channel.shape, np.uint8)
        self._plain = len(inner) == 1
        self.observation_space = inner["observation"] if self._plain else spaces.Dict(inner)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start the episode of `seed`; without one, of a seed drawn at random."""
        super().reset(seed=seed)
        own = int(self.np_random.integers(*self._seeds)) if seed is None else int(seed)
        self._task = self._trials.tasks([own])
        seen = self._world.reset([own])
        self._scorer = self._trials.Scorer(self._world, self._task)
        self._broken = 0
        return self._shown(seen), {"episode_seed": own, "cost": 0.0, "is_success": False}

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance one tick. Raises InputError for an action that is not finite or does not fit."""
        command = np.asarray(action, np.float32)
        if command.shape != self.action_space.shape or not np.isfinite(command).all():
            raise InputError(
                f"environment: expected {self.action_space.shape[0]} finite numbers"
                f" ({self._world.actuators.describe()}), came {command.tolist()}; mend the policy"
            )
        command = command.clip(self.action_space.low, self.action_space.high)
        seen = self._world.step(Action(torch.from_numpy(command)[None].clone()))
        self._scorer.look()
        score = self._scorer.score()
        broken = int(score.contacts[0] + score.speeding[0])
        info = {"cost": float(broken > self._broken), "is_success": bool(score.reached[0])}
        self._broken = broken
        shown, aside = self._shown(seen), getattr(self._world, "aside", None)
        if aside is not None:
            over = bool(aside.terminated[0]), bool(aside.truncated[0])
            return shown, float(aside.paid[0]), *over, info
        if self._goal is None:
            return shown, float(info["is_success"]), False, False, info
        paid = float(self.compute_reward(shown["achieved_goal"], shown["desired_goal"], info))
        return shown, paid, False, False, info

    def compute_reward(self, achieved: Any, desired: Any, info: Any) -> NDArray[np.float64]:
        """Return minus the distances of achieved from desired goals, [...] of [... G]."""
        off = np.asarray(achieved, np.float64) - np.asarray(desired, np.float64)
        return -np.linalg.norm(off, axis=-1)

    def close(self) -> None:
        """Release the world; a second time does nothing."""
        if self._open:
            self._world.close()
        self._open = False

    def _shown(self, seen: Observation) -> Any:
        values = seen.values[0].numpy()
        shown: dict[str, Any] = {"observation": values[: self._scalars.size].copy()}
        if self._goal is not None:
            shown["achieved_goal"] = values[self._goal].copy()
            shown["desired_goal"] = self._task.goal[0].numpy().copy()
        for channel, cut in self._world.sensors.slices():
            if channel.shape:
                shown[channel.name] = values[cut].reshape(channel.shape).astype(np.uint8)
        return shown["observation"] if self._plain else shown


def _settings(kind: Any, told: dict[str, Any]) -> Any:
    """Return a world's settings. Raises InputError, in one line, for one that does not fit."""
    try:
        return kind.Config(**told)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"environment: {where}: {first['msg'].lower()}, came {first['input']!r};"
            f" {kind.__name__} takes {', '.join(kind.Config.model_fields) or 'no settings'}"
        ) from None


def name_of(world: str) -> str:
    """Return the id under which a world is registered."""
    return f"housecat/{world.replace('_', '-')}-v0"


def register() -> None:
    """Register all worlds that are here; a second time does nothing."""
    for world, (kind, goal, ticks) in REGISTERED.items():
        here = (Path(__file__).with_name(world) / "world.py").is_file()
        if here and name_of(world) not in gymnasium.registry:
            gymnasium.register(
                name_of(world),
                entry_point="worlds.environments:Environment",
                max_episode_steps=ticks,
                kwargs={"world": f"worlds.{world}.world:{kind}", "goal": goal},
            )


register()
