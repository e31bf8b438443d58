"""What an actor considered besides the plan it posts; travels inside a `Plan`.

Axes as in `agent.core.messages`; `F` candidates in a fan.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from agent.core.spec import tensor


@dataclass(frozen=True, slots=True)
class Rival:
    """The runner-up: the best candidate that is unlike the plan, and why it lost.

    It lost by violating `guardrail` most, or, where that is -1, by its `energy`; `terms` are summed
    over the horizon. Where its energy is infinite there was none.
    """

    actions: Tensor = tensor("B", "H", "A")
    energy: Tensor = tensor("B")
    terms: Tensor = tensor("B", "T")
    violation: Tensor = tensor("B", low=0.0)
    guardrail: Tensor = tensor("B", dtype="int64")


@dataclass(frozen=True, slots=True)
class Fan:
    """A sample of `F` candidates that were considered, from the first to the last judged.

    Energies and violations are infinite where a candidate was no use.
    """

    actions: Tensor = tensor("B", "F", "H", "A")
    energy: Tensor = tensor("B", "F")
    violation: Tensor = tensor("B", "F", low=0.0)
