"""Faults that only show when parts stand side by side: names, quantities, errors of readouts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from agent.core.errors import InputError, nearest
from agent.core.past import every
from agent.core.protocols import Guardrail, Readouts, Term
from agent.core.spec import Layout

SPREAD = NormalDist().inv_cdf(0.95)


def check_settings(slot: str, where: str, raw: Mapping[str, Any]) -> None:
    """Raise InputError if the settings of a guardrail hold a weight: nothing weighs against it."""
    if slot == "guardrail" and "weight" in raw:
        raise InputError(
            f"{where}: a guardrail has no weight, came weight {raw['weight']}; it is a limit that"
            f" no cost outweighs: remove the weight, or name a cost term under `terms`"
        )


def check_parts(terms: tuple[Term, ...], rails: tuple[Guardrail, ...], quantities: Layout) -> None:
    """Raise InputError for two of one name, a readout that is not there, a negative weight."""
    for what, parts in (("terms", terms), ("guardrails", tuple(every(rails)))):
        names = [p.name for p in parts]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{what}: two are called '{name}'; give each its own `name`")
        for part in parts:
            for quantity in _watched(part):
                if quantity not in quantities.names:
                    hint = nearest(quantity, quantities.names)
                    raise InputError(
                        f"{what}.{part.name}: there is no readout '{quantity}'; {hint}"
                    )
    for term in terms:
        if term.weight < 0:
            raise InputError(
                f"terms.{term.name}: weight {term.weight} is negative; energies are lowered, so it"
                f" would seek the cost; use 0 or more"
            )


def _watched(part: Any) -> tuple[str, ...]:
    """Return the readouts that a term or guardrail looks at."""
    quantity = getattr(part, "quantity", None)
    return getattr(part, "quantities", () if quantity is None else (quantity,))


def check_errors(rails: tuple[Guardrail, ...], readouts: Readouts) -> None:
    """Raise InputError if a readout's held-out error is more than a guardrail can stand.

    A checkpoint carries root mean squares: `SPREAD` of them hold 90 % of normal errors.
    """
    errors = readouts.error()
    for rail in every(rails):
        names, room = _watched(rail), getattr(rail, "room", math.inf)
        error = SPREAD * math.hypot(*(errors[n] for n in names))
        if not error <= room:
            raise InputError(
                f"guardrails.{rail.name}: expected a readout of {' and '.join(names)} with a 90 %"
                f" error of at most {room:.3g}, the room its limit leaves, came {error:.3g}; train"
                f" readouts longer, or loosen the limit or `tolerance`"
            )


def check_shown(terms: tuple[Term, ...], shown: bool) -> None:
    """Raise InputError if a term wants goals shown that are told in numbers."""
    for term in terms:
        if getattr(term, "shown", False) and not shown:
            raise InputError(
                f"terms.{term.name}: expected goals that are shown, came goals that are told in"
                f" numbers; set `shown: true` beside `goal`"
            )
