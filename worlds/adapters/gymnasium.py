"""Any Gymnasium environment with continuous actions as a world: `world: {use: gymnasium, id: ...}`.

The agent gets the environment's own observation and nothing else. What the environment says
beside it, reward and `info`, is for scorers (`worlds.adapters.trials`); with `reward: true` minus
the reward is a sensor besides, in episodes of training alone, for readouts to learn it. Of a
multi-goal environment what is desired is no sensor, but what the agent is asked.
Source: Towers et al. (2024), Gymnasium; Ji et al. (2023), Safety-Gymnasium, for `info["cost"]`;
Plappert et al. (2018), Multi-Goal Reinforcement Learning, for goals.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from agent.core.errors import HousecatError, InputError, PhysicsError
from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Layout
from worlds.adapters.branching import kept, mechanics
from worlds.adapters.making import made, source, where
from worlds.adapters.spaces import (
    ACHIEVED,
    DESIRED,
    ENERGY,
    Named,
    actuators_of,
    goal_size,
    ordered,
    rate_of,
    sensors_of,
    shown,
)
from worlds.adapters.trials import Asked

UNSTABLE = tuple(
    int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{what}"))
    for what in ("QPOS", "QVEL", "QACC", "CTRL")
)
"""Warnings after which MuJoCo has put a body back to its start, in silence: a teleport."""

TAUGHT_SEEDS = 900_000
"""Episodes from this seed on show no reward: those of tuning and of evaluation."""

SUCCESS = ("is_success", "success")
"""Keys of `info` under which environments say that what they ask is done."""


@dataclass(slots=True)
class Aside:
    """What environments said of the last tick beside their observations, a value a row [B].

    Of a row without a cost or a success in its `info`, `costly` and `asked` are False. `desired`
    [B G] is what was asked as the tick began, and success is of that; G is 0 where nothing is.
    """

    paid: NDArray[np.float64]
    cost: NDArray[np.float64]
    costly: NDArray[np.bool_]
    success: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    desired: NDArray[np.float32]


class Gymnasium:
    """Copies of a Gymnasium environment, by its `id`, stepped in lock-step.

    Actions are a Box with finite limits; observations a Box, or a Dict of such: a sensor each,
    nested ones as `outer.inner`. A Box of bytes with two or three axes is an image, its colours
    first. The time limit that an environment is registered with is lifted: configs say how long
    episodes are. One that the environment itself ends, by termination or truncation, stands still:
    its last observation stays, and nothing more is paid, until the next reset.
    """

    class Config(Settings):
        """`id` as `gymnasium.make` takes it, `module:Name-v0` included, and its `kwargs`.

        `channels` names the scalars of the observation in order, all of them, with sizes and units;
        without it they have the environment's own names and the unit 1. `rate_hz` is that of ticks;
        0 asks the environment (`dt`, else `metadata["render_fps"]`), whose steps, `repeat` of them
        under the same command, are a tick. `reward` adds the sensor `task_energy`: minus the mean
        reward of the last tick's steps, not valid from episode seed 900,000 on. With `goals`, an
        environment that shows an `achieved_goal` and a `desired_goal` of one shape sets goals about
        the sensor `achieved_goal`: what is desired at the start of an episode is what is asked in
        it. Without, both are sensors like others.
        """

        id: str = Field(min_length=1)
        kwargs: dict[str, Any] = {}
        channels: list[Named] = []
        rate_hz: float = Field(default=0.0, ge=0)
        repeat: int = Field(default=1, ge=1)
        reward: bool = False
        goals: bool = True

        def energies(self) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
            """Return between what minus a reward lies; None: nobody knows."""
            return None, None

        def label(self) -> str:
            """Return the environment's name, for people."""
            return self.id

        def made(self) -> gymnasium.Env[Any, Any]:
            """Return one copy. Raises InputError if there is none by that name and settings."""
            return made(self)

    trials: Any = "worlds.adapters.trials"
    notes: tuple[str, ...] = ()
    sensors = Layout(())
    actuators = Layout(())
    rate_hz = 1.0
    branches = False
    """Whether other futures than one can be lived, by `branched`: on MuJoCo, without images."""

    @classmethod
    def body(cls, config: Config) -> type[Gymnasium]:
        """Return the class of worlds of this environment: sensors, actuators and rate are its own.

        Raises InputError if there is no such environment, or if it is not one for us.
        """
        env = config.made()
        try:
            sensors = sensors_of(env, config)
            parts = {
                "sensors": sensors,
                "actuators": actuators_of(env, config.label()),
                "stamp": staticmethod(functools.partial(source, type(env.unwrapped))),
                "branches": mechanics(env) is not None and sensors == sensors.scalars,
            }
            if goal_size(env, config):
                note = f"it sets goals about its sensor '{ACHIEVED}', by what it shows as"
                parts |= {"trials": Asked(config.made), "notes": (f"{note} '{DESIRED}'",)}
            return type(cls.__name__, (cls,), {**parts, "rate_hz": rate_of(env, config)})
        finally:
            env.close()

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError as `body` does."""
        self.config, self.batch = config, batch
        kind = self.body(config)
        self.sensors, self.actuators, self.rate_hz = kind.sensors, kind.actuators, kind.rate_hz
        self.trials, self.notes, self.branches = kind.trials, kind.notes, kind.branches
        self._envs = [config.made() for _ in range(batch)]
        self._values = np.zeros((batch, self.sensors.size), dtype=np.float32)
        self._desired = np.zeros((batch, goal_size(self._envs[0], config)), dtype=np.float32)
        self.aside = _nothing(batch, self._desired)
        """What the environments said beside their observations: scorers look, agents cannot."""
        self._tick, self._taught, self._begun = 0, np.zeros(batch, dtype=np.bool_), False
        self._energy = self.sensors[ENERGY].start if config.reward else -1

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed.

        Raises PhysicsError for an observation that is not finite or not as declared, and where an
        environment raises.
        """
        self.aside, self._tick = _nothing(self.batch, self._desired), 0
        self._taught = np.array([int(seed) < TAUGHT_SEEDS for seed in seeds])
        for row, (env, seed) in enumerate(zip(self._envs, seeds, strict=True)):
            with self._blamed(row):
                seen, _ = env.reset(seed=int(seed))
                self._take(row, seen)
        self._begun = True
        return self._observe()

    def step(self, action: Action) -> Observation:
        """Advance one tick.

        Raises PhysicsError for an observation or a reward that is not finite or not as declared,
        and where an environment raises or its MuJoCo became unstable.
        """
        after = _nothing(self.batch, self._desired)
        after.terminated, after.truncated = self.aside.terminated, self.aside.truncated
        for row in np.flatnonzero(~_ended(after)):
            self._live(row, action.command[row].numpy(), after)
        self.aside, self._tick = after, self._tick + 1
        if self._energy >= 0:
            self._values[:, self._energy] = np.where(
                self._taught, -after.paid / self.config.repeat, 0.0
            )
        return self._observe()

    @property
    def over(self) -> NDArray[np.bool_]:
        """Which environments have ended their episodes [B]: they stand still."""
        return _ended(self.aside)

    def showing(self) -> Tensor:
        """Return what sensors show now [B O]."""
        return torch.from_numpy(self._values.copy())

    def branched(self, rows: Sequence[int], actions: Tensor) -> Tensor:
        """Return what sensors would show [n H O] of the copies `rows` under `actions` [n H A].

        The copies stay where they are. Before the first episode nothing moves, nor does after its
        end one that ends meanwhile. What is paid is not told. Raises InputError for an environment
        that is not on MuJoCo or shows images, PhysicsError as `step` does.
        """
        if not self.branches:
            raise InputError(
                f"gymnasium: expected an environment on MuJoCo without images, came"
                f" {self.config.label()}; no other future of it can be lived, ask for no reference"
            )
        values, desired = self._values.copy(), self._desired.copy()
        futures = np.repeat(values[rows][:, None], actions.shape[1], axis=1)
        try:
            for row in set(rows) if self._begun else ():
                with kept(self._envs[row]) as back:
                    for index in np.flatnonzero(np.asarray(rows) == row):
                        futures[index] = self._imagined(row, actions[index].numpy())
                        self._values[:], self._desired[:] = values, desired
                        back()
        finally:
            self._values, self._desired = values, desired
        return torch.from_numpy(futures)

    def close(self) -> None:
        """Close all environments."""
        for env in self._envs:
            env.close()

    @contextlib.contextmanager
    def _blamed(self, row: int) -> Iterator[None]:
        """Say of what fails meanwhile that it is the environment that does."""
        try:
            yield
        except HousecatError:
            raise
        except Exception as fault:
            said = f"{type(fault).__name__}: {fault}" if str(fault) else where(fault)
            reason = " ".join(said.split())
            raise PhysicsError(
                f"gymnasium: {self.config.label()} failed in row {row} at tick {self._tick}"
                f" ({reason}); this episode is invalid; mend the environment"
            ) from fault

    def _imagined(self, row: int, commands: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the environment `row` shows [H O] as it lives under `commands` [H A]."""
        after, shown = copy.deepcopy(self.aside), []
        for command in commands:
            if not _ended(after)[row]:
                self._live(row, command, after)
            shown.append(self._values[row].copy())
        return np.stack(shown)

    def _live(self, row: int, command: NDArray[Any], after: Aside) -> None:
        """Advance the environment `row` by a tick under `command` [A], as far as it goes."""
        space = self._envs[row].action_space
        held = np.clip(command.astype(space.dtype).reshape(space.shape), space.low, space.high)
        for _ in range(self.config.repeat):
            with self._blamed(row):
                self._advance(row, held, after)
            if _ended(after)[row]:
                break

    def _advance(self, row: int, held: NDArray[Any], after: Aside) -> None:
        """Advance the environment `row` by a step of its own, and add to `after` what it said."""
        env = self._envs[row]
        same = np.array_equal(self._desired[row], after.desired[row])
        seen, paid, terminated, truncated, info = env.step(held)
        self._take(row, seen)
        if _unstable(env):
            raise PhysicsError(
                f"gymnasium: the physics of {self.config.label()} became unstable in row {row}"
                f" at tick {self._tick}; this episode is invalid; lower the commands"
            )
        if not np.isfinite(paid):
            raise PhysicsError(
                f"gymnasium: {self.config.label()} paid {float(paid)} in row {row} at tick"
                f" {self._tick}; this episode is invalid; mend the environment"
            )
        done = next((info[key] for key in SUCCESS if key in info), None)
        after.paid[row] += float(paid)
        after.cost[row] += float(info.get("cost", 0.0))
        after.costly[row] |= "cost" in info
        after.asked[row] |= same and done is not None
        after.success[row] |= same and bool(done)
        after.terminated[row], after.truncated[row] = bool(terminated), bool(truncated)

    def _take(self, row: int, seen: Any) -> None:
        """Keep an observation of the environment `row`."""
        if self._desired.size:
            self._desired[row] = np.ravel(seen[DESIRED])
        told = ordered(self._envs[row], self.config, seen)
        parts = [np.ravel(shown(part)) for _, _, part in told]
        values = np.concatenate(parts).astype(np.float32)
        size = self.sensors.size - (self._energy >= 0)
        if values.shape != (size,):
            raise PhysicsError(
                f"gymnasium: {self.config.label()} showed {len(values)} numbers in row {row} at"
                f" tick {self._tick}, {size} were declared; this episode is invalid; mend the"
                f" environment"
            )
        if self._energy >= 0:
            values = np.insert(values, self._energy, 0.0)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            name = next(c.name for c, s in self.sensors.slices() if s.start <= bad[0] < s.stop)
            raise PhysicsError(
                f"gymnasium: {self.config.label()} showed {values[bad[0]]} in '{name}' of row {row}"
                f" at tick {self._tick}; this episode is invalid; mend the environment"
            )
        self._values[row] = values

    def _observe(self) -> Observation:
        valid = torch.ones(self.batch, len(self.sensors.channels), dtype=torch.bool)
        if self._energy >= 0:
            valid[:, self.sensors.names.index(ENERGY)] = torch.from_numpy(self._taught)
        return Observation(
            values=self.showing(),
            valid=valid,
            time_s=torch.full((self.batch,), self._tick / self.rate_hz),
            first=torch.full((self.batch,), self._tick == 0),
        )


def _ended(said: Aside) -> NDArray[np.bool_]:
    over: NDArray[np.bool_] = said.terminated | said.truncated
    return over


def _unstable(env: Any) -> bool:
    """Say whether an environment that runs on MuJoCo has been put back to its start by it."""
    warned = getattr(getattr(env.unwrapped, "data", None), "warning", None)
    return warned is not None and any(warned[kind].number for kind in UNSTABLE)


def _nothing(batch: int, desired: NDArray[np.float32]) -> Aside:
    zeros, never = np.zeros(batch), np.zeros(batch, dtype=np.bool_)
    return Aside(zeros, zeros.copy(), *(never.copy() for _ in range(5)), desired.copy())


__all__ = ["Aside", "Gymnasium", "Named"]
