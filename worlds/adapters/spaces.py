"""From the spaces of a Gymnasium environment to sensors and actuators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field

from agent.core.errors import InputError
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout

ENDLESS = 1e9
"""A limit of a command this far out is none: dm_control writes 1e10 where a model has no limits."""
COLOURS = 4
"""An image has no more of them."""
ENERGY = "task_energy"
"""The sensor that shows minus the reward of the last tick, in episodes of training alone."""
ACHIEVED, DESIRED = "achieved_goal", "desired_goal"
"""What multi-goal environments show beside an `observation`: where they are, and should be."""


class Named(Settings):
    """A sensor cut out of the packed observation: so many scalars, in this unit."""

    name: str = Field(min_length=1)
    size: int = Field(ge=1)
    unit: str = Field(default="1", min_length=1)


def _leaves(space: Any, seen: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, space and value of every part of an observation; None without a value."""
    if not isinstance(space, spaces.Dict):
        yield name or "observation", space, seen
        return
    for key, inner in space.spaces.items():
        value = None if seen is None else seen[key]
        yield from _leaves(inner, value, f"{name}.{key}" if name else str(key))


def goal_size(env: Any, config: Any) -> int:
    """Return how many numbers a goal of an environment has: 0 of one that sets none, or is not to.

    One that sets goals shows a Dict with what is achieved and what is desired, of one shape.
    Source: Plappert et al. (2018), Multi-Goal Reinforcement Learning, section 2.
    """
    space = env.observation_space
    parts = space.spaces if config.goals and isinstance(space, spaces.Dict) else {}
    both = [parts.get(name) for name in (ACHIEVED, DESIRED)]
    if not all(isinstance(part, spaces.Box) and not _image(part) for part in both):
        return 0
    achieved, desired = (part.shape for part in both)
    return int(np.prod(desired)) if achieved == desired else 0


def ordered(env: Any, config: Any, seen: Any = None) -> list[tuple[str, Any, Any]]:
    """Return the parts of an observation, images after all scalars, as sensors are packed.

    What is asked is none of them.
    """
    parts = list(_leaves(env.observation_space, seen, ""))
    if goal_size(env, config):
        parts = [part for part in parts if part[0] != DESIRED]
    return sorted(parts, key=lambda part: _image(part[1]))


def _image(space: Any) -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def shown(value: Any) -> NDArray[Any]:
    """Return a part as an array; an image with its colours first."""
    seen = np.asarray(value)
    return np.moveaxis(seen, -1, 0) if seen.ndim == 3 and seen.dtype == np.uint8 else seen


def sensors_of(env: Any, config: Any) -> Layout:
    """Return the sensors. Raises InputError for a space that is none, or names that do not fit."""
    scalars, images = [], []
    for name, space, _ in ordered(env, config):
        if not isinstance(space, spaces.Box):
            raise InputError(
                f"world (gymnasium): {config.label()}: expected observations in a Box, or a Dict of"
                f" them, came '{name}' in {space}; wrap the environment"
            )
        if _image(space):
            if len(space.shape) == 3 and space.shape[-1] > COLOURS:
                raise InputError(
                    f"world (gymnasium): {config.label()}: expected an image with its colours last,"
                    f" {COLOURS} at most, came '{name}' {list(space.shape)}; wrap the environment"
                )
            shape = np.moveaxis(np.empty(space.shape), -1, 0).shape
            shape = shape if len(space.shape) == 3 else (1, *space.shape)
            images.append(Channel(name, int(np.prod(shape)), "grey", shape=shape))
        else:
            size = int(np.prod(space.shape))
            scalars.append(Channel(name, size, "1", _bound(space.low), _bound(space.high)))
    if config.channels:
        have, named = sum(c.size for c in scalars), sum(c.size for c in config.channels)
        if have != named:
            raise InputError(
                f"world.channels: expected names for all {have} scalars that {config.label()} shows"
                f" ({Layout(tuple(scalars)).describe()}), came {named}; name each of them once"
            )
        scalars = [Channel(c.name, c.size, c.unit) for c in config.channels]
    if config.reward:
        if ENERGY in (c.name for c in (*scalars, *images)):
            raise InputError(
                f"world.reward: {config.label()} has a sensor '{ENERGY}' of its own, the name of"
                f" minus the reward; rename it with world.channels, or leave reward out"
            )
        scalars.append(Channel(ENERGY, 1, "1", *config.energies(), taught=True))
    return Layout((*scalars, *images))


def actuators_of(env: Any, name: str) -> Layout:
    """Return the actuators.

    Raises InputError for actions that are no Box of real numbers with finite limits, each low below
    its high.
    """
    space = env.action_space
    fits = isinstance(space, spaces.Box) and np.prod(space.shape) > 0
    fits = fits and np.issubdtype(space.dtype, np.floating)
    if not fits or not (
        (np.abs([space.low, space.high]) < ENDLESS).all() and (space.low < space.high).all()
    ):
        raise InputError(
            f"world (gymnasium): {name}: expected actions in a Box of real numbers with finite"
            f" limits, the lower below the upper, came {space}; wrap the environment"
        )
    size = int(np.prod(space.shape))
    return Layout((Channel("action", size, "1", _floats(space.low), _floats(space.high)),))


def rate_of(env: Any, config: Any) -> float:
    """Return ticks a second: as set, or one for `repeat` steps of the environment's own.

    Raises InputError if neither config nor environment says how long a step is.
    """
    if config.rate_hz:
        return float(config.rate_hz)
    dt = getattr(env.unwrapped, "dt", None)
    own = 1.0 / dt if isinstance(dt, float | int) and dt > 0 else 0.0
    rate = own or float(env.metadata.get("render_fps") or 0.0)
    if rate <= 0:
        raise InputError(
            f"world (gymnasium): {config.label()} does not say how long a tick is;"
            f" set world.rate_hz"
        )
    return float(rate / config.repeat)


def _bound(limit: NDArray[Any]) -> tuple[float, ...] | None:
    return _floats(limit) if np.isfinite(limit).any() else None


def _floats(limit: NDArray[Any]) -> tuple[float, ...]:
    return tuple(map(float, np.ravel(limit).astype(np.float32)))


__all__ = [
    "ACHIEVED",
    "DESIRED",
    "ENERGY",
    "Named",
    "actuators_of",
    "goal_size",
    "ordered",
    "rate_of",
    "sensors_of",
    "shown",
]
