"""Futures of environments that others made and that run on MuJoCo: for the reference alone.

What an environment is at is kept, another future is lived in it, and it is put back: its physics,
its generator of chance, and what it and its wrappers hold in attributes of their own.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import mujoco


def mechanics(env: Any) -> tuple[mujoco.MjModel, mujoco.MjData] | None:
    """Return the model and the data that an environment steps; None if it is not on MuJoCo."""
    inner = env.unwrapped
    found = getattr(inner, "model", None), getattr(inner, "data", None)
    match found:
        case (mujoco.MjModel() as model, mujoco.MjData() as data):
            return model, data
    return None


@contextlib.contextmanager
def kept(env: Any) -> Iterator[Callable[[], None]]:
    """Keep what `env` is at, give what puts it back there, and put it back at the end.

    An array that an environment changes in place, other than MuJoCo's, is not put back.
    Raises TypeError for an environment that is not on MuJoCo.
    """
    found = mechanics(env)
    if found is None:
        raise TypeError(f"expected an environment on MuJoCo, came {type(env.unwrapped).__name__}")
    model, data = found
    spare = copy.copy(data)
    parts = _parts(env)
    held = [dict(vars(part)) for part in parts]
    chance = env.unwrapped.np_random.bit_generator
    drawn = chance.state

    def back() -> None:
        mujoco.mj_copyData(data, model, spare)
        chance.state = drawn
        for part, attributes in zip(parts, held, strict=True):
            vars(part).clear()
            vars(part).update(attributes)

    try:
        yield back
    finally:
        back()


def _parts(env: Any) -> list[Any]:
    """Return wrappers and environment, outermost first, and what it says it is made of."""
    parts = [env]
    while parts[-1] is not env.unwrapped:
        parts.append(parts[-1].env)
    return [*parts, *getattr(env.unwrapped, "parts", ())]
