"""What an agent's gates will ask, and their code, watched from when the agent was built.

A gate is built for every episode. What it compares itself with is older than it is, so that what
is changed between two episodes shows too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from agent.core import mend, repair
from agent.core.adaptive import AdaptiveMargins
from agent.core.guardrails import Guardrails
from agent.core.objective import GuardedObjective
from agent.core.overseer import Overseer
from agent.core.past import Past
from agent.core.watch import Watch


def origin_of(
    kind: type,
    guardrails: Guardrails,
    objective: GuardedObjective,
    fallback: Tensor,
    adaptive: AdaptiveMargins | None = None,
    above: Iterable[tuple[Guardrails, GuardedObjective]] = (),
) -> Watch:
    """Return a watch over what gates of class `kind` ask, and over all code that they rule with.

    `above` is what they ask about each of the levels above.
    """
    watched: dict[Any, tuple[str, ...]] = {}
    above = tuple(above)
    for rails, asked in ((guardrails, objective), *above):
        watched[asked] = ("_model", "_cost", "_guardrails")
        watched[rails] = ("_terms", "_sealed", "_past", "_readouts", "_made", "seal", "names")
        watched[rails.past] = ("_guardrails", "_read", "remembers")
    if adaptive is not None:
        watched[adaptive] = ("_guardrails", "_objective", "_horizon", "alpha", "_pace")
    judges = [kind, AdaptiveMargins, *([Overseer] if above else [])]
    files = (sys.modules[k.__module__] for k in (*judges, Guardrails, GuardedObjective, Past))
    return Watch(watched, [*judges, mend, repair, *files], [fallback])


__all__ = ["origin_of"]
