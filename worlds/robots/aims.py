"""Evaluation of robots that others made: goals from their own poses, limits from the config.

The agent is told the goal; it never sees the score.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.errors import InputError, nearest
from agent.core.messages import Observation, Task
from worlds.robots.settings import Robot
from worlds.scoring import Score, Stay

EVALUATION_SEEDS = 1_000_000
GOALS = 1
"""The stream of draws that goals come from; starts have 0."""


class Aims:
    """What is asked of a robot, and how it is scored: stands where other worlds have a module."""

    EVALUATION_SEEDS = EVALUATION_SEEDS

    def __init__(self, kind: Any, config: Robot) -> None:
        """Set goals for worlds of the class `kind`.

        Raises InputError for unknown sensors, and for limits that no reading could keep, that are
        not one for each component, or that are null for all.
        """
        self._kind, self.config, trial = kind, config, config.trial
        for name in (*([trial.aim] if trial.aim else []), *trial.least, *trial.most):
            if name not in kind.sensors.names:
                hint = nearest(name, kind.sensors.names)
                raise InputError(f"world.trial: the robot has no sensor '{name}'; {hint}")
        for name, limit in (*trial.least.items(), *trial.most.items()):
            size = kind.sensors.channel(name).size
            if isinstance(limit, list) and len(limit) != size:
                raise InputError(
                    f"world.trial: expected {size} limits of '{name}', one for each component, or"
                    f" a single number for all, came a list of {len(limit)}"
                )
            if not np.isfinite(_limits(limit, np.inf)).any():
                raise InputError(
                    f"world.trial: expected a finite limit of one component of '{name}' or more,"
                    f" came {limit}; leave it out"
                )
        for name, limit in trial.most.items():
            if np.min(_limits(limit, np.inf)) < 0:
                raise InputError(
                    f"world.trial: expected a limit of at least 0 for the size of '{name}', came"
                    f" {limit}"
                )

    def tasks(self, seeds: Sequence[int]) -> Task:
        """Return what the aim shows at rest in other starts [B G]; [B 0] if nothing is asked."""
        if not self.config.trial.aim:
            return Task(torch.zeros(len(seeds), 0))
        world = self._kind(self.config, len(seeds))
        try:
            shown = self.sights(world, seeds).values[:, world.sensors[self.config.trial.aim]]
        finally:
            world.close()
        return Task(shown.clone())

    def sights(self, world: Any, seeds: Sequence[int]) -> Observation:
        """Return what the robot would observe at these goals; `world` is put there."""
        poses = np.stack([world.start(seed, GOALS) for seed in seeds])
        seen: Observation = world.show(poses)
        return seen

    def Scorer(self, world: Any, task: Task) -> Scorer:  # noqa: N802 - a module of trials has a class
        """Return who watches `world` beside an agent."""
        return Scorer(world, task, self.config)


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: the aim was held as `trial` asks; if nothing was asked, that no limit was broken.
    `contacts` counts ticks beyond a limit of `trial` at any physics step, if it has any;
    `closest_m` is the least room to any that is in metres, infinite without one.
    """

    def __init__(self, world: Any, task: Task, config: Robot) -> None:
        """Score episodes of `world` against the goals of `task` and the limits of the config."""
        self._world, self._trial, n = world, config.trial, world.batch
        self._goal = task.goal.double().numpy()
        self._hold, self._reach = Stay(n, self._trial.hold), np.full(n, -1)
        self._broken, self._room = np.zeros(n, dtype=np.int64), np.full(n, np.inf)

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trial, sensors = self._trial, self._world.sensors.scalars
        seen = self._world.readings(self._world.simulation.trace)
        rooms = [(k, seen[..., sensors[k]] - _limits(v, -np.inf)) for k, v in trial.least.items()]
        for name, limit in trial.most.items():
            rooms.append((name, _limits(limit, np.inf) - np.abs(seen[..., sensors[name]])))
        broken = np.zeros(len(seen), dtype=np.bool_)
        for name, room in rooms:
            left = room.min(axis=(1, 2))
            broken |= ~(left >= 0.0)
            if sensors.channel(name).unit == "m":
                self._room = np.minimum(self._room, left)
        self._broken += broken
        if trial.aim:
            off = np.linalg.norm(seen[:, -1, sensors[trial.aim]] - self._goal, axis=-1)
            self._reach = self._hold.look(off <= trial.within)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have reached and held their goal, [B]."""
        return self._reach >= 0

    def score(self) -> Score:
        """Return what happened so far."""
        trial = self._trial
        reach = self._reach if trial.aim else np.where(self._broken == 0, 0, -1)
        return Score(
            reached=reach >= 0,
            reach_tick=reach.copy(),
            contacts=self._broken.copy(),
            speeding=np.zeros_like(self._broken),
            closest_m=self._room.copy(),
            counted=bool(trial.least or trial.most),
        )


def _limits(limit: float | list[float | None], free: float) -> NDArray[np.float64]:
    """Return a limit as numbers, `free` where it is null."""
    some = limit if isinstance(limit, list) else [limit]
    return np.array([free if one is None else one for one in some], dtype=np.float64)


__all__ = ["EVALUATION_SEEDS", "Aims", "Score", "Scorer"]
