"""From the id of a Gymnasium environment to a copy of it, and where its code is."""

from __future__ import annotations

import difflib
import inspect
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from agent.core.errors import InputError

if TYPE_CHECKING:
    from worlds.adapters.gymnasium import Gymnasium


def made(config: Gymnasium.Config) -> gymnasium.Env[Any, Any]:
    """Return one copy. Raises InputError if there is none by that name and those settings."""
    try:
        return gymnasium.make(
            config.id, max_episode_steps=-1, disable_env_checker=True, **config.kwargs
        )
    except Exception as fault:
        reason = " ".join(str(fault).split()) or where(fault)
        unknown = isinstance(fault, gymnasium.error.NameNotFound)
        close = difflib.get_close_matches(config.id, gymnasium.registry, n=1, cutoff=0.5)
        if unknown and close and close[0] not in reason:
            reason += f" Did you mean '{close[0]}'?"
        elif unknown and not close:
            reason += " `gymnasium.pprint_registry()` lists those that are installed"
        raise InputError(
            f"world (gymnasium): expected the id of an installed environment, came '{config.id}':"
            f" {reason}; correct world.id or world.kwargs, or install what it needs"
        ) from fault


def where(fault: Exception) -> str:
    """Return what a fault without a message is, and where it happened."""
    last = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {last.filename}, line {last.lineno}"


def source(kind: type) -> bytes:
    """Return the file of an environment's class, nothing where it has none."""
    try:
        return Path(inspect.getfile(kind)).read_bytes()
    except (OSError, TypeError):
        return b""
