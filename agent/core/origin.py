"""What an agent's gates will ask, and their code, watched from when the agent was built.

A gate is built for every episode. What it compares itself with is older than it is, so that what
is changed between two episodes shows too.
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from agent.core import repair
from agent.core.adaptive import AdaptiveMargins
from agent.core.guardrails import Guardrails
from agent.core.objective import GuardedObjective
from agent.core.past import Past
from agent.core.watch import Watch


def origin_of(
    kind: type,
    guardrails: Guardrails,
    objective: GuardedObjective,
    fallback: Tensor,
    adaptive: AdaptiveMargins | None = None,
) -> Watch:
    """Return a watch over what gates of class `kind` ask, and over all code that they rule with."""
    watched: dict[Any, tuple[str, ...]] = {
        objective: ("_model", "_cost", "_guardrails"),
        guardrails: ("_terms", "_sealed", "_past", "_readouts", "_made", "seal", "names"),
        guardrails.past: ("_guardrails", "_read", "remembers"),
    }
    if adaptive is not None:
        watched[adaptive] = ("_guardrails", "_objective", "_horizon", "alpha", "_pace")
    kinds = (kind, Guardrails, GuardedObjective, Past, AdaptiveMargins)
    files = (sys.modules[k.__module__] for k in kinds)
    return Watch(watched, [kind, AdaptiveMargins, repair, *files], [fallback])


__all__ = ["origin_of"]
