"""Where a task of several sub-goals stands; travels inside a `Directive`.

Axes as in `agent.core.messages`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from torch import Tensor

from agent.core.spec import tensor


class Progress(IntEnum):
    """How far a sub-goal has come."""

    WAITING = 0
    ACTIVE = 1
    DONE = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Subgoals:
    """Where each agent stands in a task of several sub-goals, and what the one at hand wants.

    `names` are the U sub-goals'; `progress` of each is a `Progress`, `active` the one at hand,
    which is held once everything is done. It asks for the readouts `aim` where `aimed`, in the
    sensors' units and packed as they are.
    """

    aim: Tensor = tensor("B", "Q")
    aimed: Tensor = tensor("B", "Q", dtype="bool")
    active: Tensor = tensor("B", dtype="int64")
    progress: Tensor = tensor("B", "U", dtype="int64")
    names: tuple[str, ...] = ()

    def rows(self, which: Tensor | slice) -> Subgoals:
        """Return the sub-goals of some agents."""
        return replace(
            self,
            aim=self.aim[which],
            aimed=self.aimed[which],
            active=self.active[which],
            progress=self.progress[which],
        )
