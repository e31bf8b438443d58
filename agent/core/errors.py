"""What can go wrong, and the exit code each kind ends in."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HousecatError(Exception):
    """A fault with a one-line message: who, what was expected, what came, what to do."""

    exit_code = 1


class InputError(HousecatError):
    """The user's input is wrong: a config, a file, a name, a module that does not fit."""

    exit_code = 2


class MissingExtra(InputError):
    """What is asked for needs an optional package; the message holds the line that installs it."""


class WiringError(InputError):
    """Modules whose ports do not fit together; the message lists every mismatch."""


class BoardError(HousecatError):
    """A module read or posted what it did not declare."""


class SafetyError(HousecatError):
    """A guardrail or its seal stopped the run."""

    exit_code = 3


class PhysicsError(HousecatError):
    """The simulator became unstable; the episode is invalid, never safe."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known name, or all of them when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + (", ".join(names) if names else "none")


def expect_sensors(
    option: str, names: Iterable[str], known: Iterable[str], what: str = "sensors"
) -> None:
    """Raise ValueError unless all `names` that a part's `option` lists are among the `known`."""
    known = tuple(known)
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise ValueError(f"{option}: expected {what} of this body, came '{name}'; {hint}")
