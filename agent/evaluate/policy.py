"""An agent, gate included, as a policy in anybody's loop: `action, state = policy.predict(obs)`.

The calling convention is that of stable-baselines3, for policies with a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.core.loop import Agent, Tick
from agent.core.messages import Action, Observation, Task
from agent.record import checkpoint

GOAL, ACHIEVED = "desired_goal", "achieved_goal"
"""Entries of an observation of multi-goal environments: what is asked, and what is so.

The second is not looked at where the agent has no such sensor."""


@dataclass(slots=True)
class Life:
    """One agent's episode so far: who lives it, what it was asked, and its last tick."""

    agent: Agent
    goal: Tensor
    ticks: int = 0
    last: Tick | None = None


class Policy:
    """A trained agent that says what to do, observation by observation; its gate lets it out.

    A policy has no memory of its own: the episode so far is in the `state` that `predict` returns
    and wants back, which it carries on in place. Without a state, or where `episode_start` says so,
    an episode begins.
    """

    def __init__(self, found: Blueprint, tensors: Any, goal: Sequence[float] | None = None) -> None:
        """Stand for the agent of a blueprint with these weights; see `load`."""
        self._found, self._tensors = found, tensors
        self._kind = found.singles["world"].kind
        self._shown = self._kind.sensors.lasting
        self._goal = None if goal is None else torch.from_numpy(_numbers(goal, "goal").copy())
        self._asked = (
            0 if found.config.goal is None else self._kind.sensors.channel(found.config.goal).size
        )
        if found.config.shown:
            raise InputError(
                "policy: expected an agent whose goals are told in numbers, came `shown: true`; use"
                " `eval`, or a config without `shown`"
            )

    @classmethod
    def load(
        cls,
        config: str | Path,
        weights: str | Path | None = None,
        goal: Sequence[float] | None = None,
        overrides: Sequence[str] = (),
    ) -> Policy:
        """Return the policy of a config with the weights of a checkpoint; none: the config's own.

        `goal` is asked in every episode whose observations ask nothing. `overrides` are those of
        the command line. Raises InputError for what does not fit.
        """
        found = blueprint(schema.load(Path(config), list(overrides)))
        tensors, _ = checkpoint.load(Path(weights or found.config.checkpoint))
        return cls(found, tensors, goal)

    @property
    def fallback(self) -> NDArray[np.float32]:
        """The command [A] to send last, when a loop is left: what the gate sends if in doubt."""
        return np.array(self._found.config.gate.fallback, np.float32)

    def predict(
        self,
        observation: Any,
        state: Sequence[Life] | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[np.float32], list[Life]]:
        """Return the commands [A], or [n A] of n observations, and the state to hand in next time.

        `observation` is packed sensors [O], or [n O], or a Dict of an `observation` and images by
        name, as of `housecat/...` environments, or of sensors by name; `desired_goal` in it is what
        is asked. `deterministic` makes no difference: a plan's randomness is seeded. Another goal
        begins another episode. Raises InputError for what does not fit; what is not finite is the
        gate's business: the fallback goes out.
        """
        values, goals, single = self._taken(observation)
        rows = len(values)
        kinds = [type(life) for life in state] if isinstance(state, list | tuple) else None
        if state is not None and kinds != [Life] * rows:
            raise InputError(
                f"policy: expected the state that predict returned, of {rows} episodes, as many as"
                f" observations, came {str(state)[:40]!r}; hand in None to begin anew"
            )
        fresh = np.asarray(False if episode_start is None else episode_start)
        if fresh.shape not in ((), (1,), (rows,)):
            raise InputError(
                f"policy: expected an episode_start for each of {rows} observations, came"
                f" {list(fresh.shape)}; give one truth value or {rows}"
            )
        fresh = np.broadcast_to(fresh, rows)
        lives, commands = [], []
        for row in range(rows):
            kept = None if state is None or fresh[row] else state[row]
            if kept is not None and not torch.equal(kept.goal, goals[row]):
                kept = None
            life = self._born(goals[row]) if kept is None else kept
            commands.append(self._lived(life, values[row]))
            lives.append(life)
        whole = np.stack(commands)
        return (whole[0] if single else whole), lives

    def _born(self, goal: Tensor) -> Life:
        mind = self._found.assemble(self._tensors)
        agent = mind.agent(self._kind)
        agent.reset(Task(goal[None].clone()))
        return Life(agent, goal)

    def _lived(self, life: Life, values: Tensor) -> NDArray[np.float32]:
        seen = Observation(
            values=values[None].clone(),
            valid=torch.tensor([[not c.taught for c in self._kind.sensors.channels]]),
            time_s=torch.full((1,), life.ticks / self._kind.rate_hz),
            first=torch.full((1,), life.ticks == 0),
        )
        life.last = life.agent.tick(seen)
        life.ticks += 1
        command: NDArray[np.float32] = life.last.messages[Action].command[0].numpy().copy()
        return command

    def _taken(self, observation: Any) -> tuple[Tensor, Tensor, bool]:
        """Return packed values [n O], goals [n G], and whether it was one observation."""
        goals: Any = None
        if isinstance(observation, dict):
            parts, known = _leaves(observation), self._shown.names
            goals = None if GOAL in known else parts.pop(GOAL, None)
            if ACHIEVED not in known:
                parts.pop(ACHIEVED, None)
            observation = self._packed(parts, goals)
        values = torch.as_tensor(_numbers(observation, "observation"))
        size, single = self._shown.size, values.ndim == 1
        values = values[None] if single else values
        if values.ndim != 2 or values.shape[1] != size:
            raise InputError(
                f"policy: expected observations of {size} numbers"
                f" ({self._shown.describe()}), came {list(values.shape)[1:]}; wrap the"
                f" environment"
            )
        return self._beside_taught(values), self._goals(goals, len(values)), single

    def _beside_taught(self, values: Tensor) -> Tensor:
        """Return values [n O] with nothing in the place of what was shown in training alone."""
        whole = values.new_zeros(len(values), self._kind.sensors.size)
        for channel, where in self._shown.slices():
            whole[:, self._kind.sensors[channel.name]] = values[:, where]
        return whole

    def _packed(self, parts: dict[str, Any], goals: Any) -> NDArray[Any]:
        """Return a Dict's parts side by side in the order of the sensors, images flat.

        [O] of one observation, [n O] of n: which it is, all parts and goals say together.
        """
        sensors = self._shown
        plain = "observation" in parts and "observation" not in sensors.names
        layout = [("observation", sensors.scalars.size)] if plain else []
        layout += [(c.name, c.size) for c in sensors.channels if c.shape or not plain]
        if {n for n, _ in layout} != set(parts):
            raise InputError(
                f"policy: expected {', '.join(n for n, _ in layout)} in the observation, came"
                f" {', '.join(map(str, parts)) or 'nothing'}; wrap the environment"
            )
        shapes = {c.name: c.shape for c in sensors.channels}
        told = [(_numbers(parts[n], n), size, shapes.get(n, ())) for n, size in layout]
        many = _many(told, 1 if goals is None else _numbers(goals, GOAL).ndim)
        flat = [_flat(n, *part, many) for (n, _), part in zip(layout, told, strict=True)]
        return np.concatenate(flat, axis=-1)

    def _goals(self, told: Any, rows: int) -> Tensor:
        if told is None:
            told = torch.zeros(0) if self._goal is None else self._goal
        goals = torch.as_tensor(_numbers(told, GOAL))
        if goals.shape[-1:] != (self._asked,):
            raise InputError(
                f"policy: expected goals of {self._asked} numbers ({self._found.config.goal}), came"
                f" {list(goals.shape)}; put `{GOAL}` into the observation, or give goal= to load"
            )
        return goals.expand(rows, self._asked)


def _numbers(told: Any, what: str) -> NDArray[np.float32]:
    """Return what was told as an array. Raises InputError for what is no numbers."""
    try:
        return np.asarray(told, np.float32)
    except (TypeError, ValueError):
        raise InputError(
            f"policy: expected numbers as the {what}, came {str(told)[:40]!r}; hand in an array"
        ) from None


def _leaves(parts: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Return the entries of a Dict, nested ones as `outer.inner`, as the adapter names them."""
    found: dict[str, Any] = {}
    for key, value in parts.items():
        name = f"{within}.{key}" if within else str(key)
        found |= _leaves(value, name) if isinstance(value, dict) else {name: value}
    return found


def _many(parts: Sequence[tuple[NDArray[np.float32], int, tuple[int, ...]]], goal: int) -> bool:
    """Say whether parts, each with the size and shape of one, are rows of observations.

    Then all have the same first axis; where that is 1, some part has more axes than one has, or the
    `goal` has, of which the number of axes is told.
    """
    if any(seen.ndim == 0 for seen, _, _ in parts):
        return False
    rows = {len(seen) for seen, _, _ in parts}
    if len(rows) != 1 or any(seen.size != len(seen) * size for seen, size, _ in parts):
        return False
    deep = goal > 1 or any(seen.ndim > max(len(shape), 1) for seen, _, shape in parts)
    return rows != {1} or deep


def _flat(
    name: str, seen: NDArray[np.float32], size: int, shape: tuple[int, ...], many: bool
) -> NDArray[np.float32]:
    """Return a part as [size], or [n size] of `many`; images with their colours first.

    An image may come with its colours last, and a grey one without that axis. Raises InputError for
    another shape or size.
    """
    one, last = seen.shape[1:] if many else seen.shape, (*shape[1:], *shape[:1])
    grey = shape[1:] if shape[:1] == (1,) else shape
    if seen.size != size * (len(seen) if many else 1) or (shape and one not in (shape, last, grey)):
        raise InputError(
            f"policy: expected {name} of shape {list(shape or (size,))}, or a row of such for each"
            f" observation, came {list(seen.shape)}; wrap the environment"
        )
    seen = np.moveaxis(seen, -1, -3) if shape and one not in (shape, grey) else seen
    return seen.reshape(len(seen), size) if many else seen.reshape(size)


__all__ = ["Life", "Policy"]
