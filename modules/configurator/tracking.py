"""A configurator that keeps track: how far a task has come, and what memory recollects."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from agent.core.messages import Appraisal, Directive, Recollection
from agent.core.protocols import Inbox
from modules.configurator.fixed import FixedConfigurator


class TrackingConfigurator(FixedConfigurator):
    """As `fixed`, and hands on what it recalls: sub-goals done, as the cost says, and memories.

    Terms are functions without a memory of their own; `waypoints` and `novelty` need this one.
    Source: LeCun (2022) sec. 3, the configurator modulates the cost for the task at hand.
    """

    class Config(FixedConfigurator.Config):
        """What every tick is given, as for `fixed`."""

    recalls: ClassVar[tuple[type, ...]] = (Appraisal, Recollection)
    posts = Directive

    def reset(self, batch: int) -> None:
        """Start an episode: no sub-goal is done."""
        super().reset(batch)
        self._stage: Tensor | None = None

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive for this tick, with what the last tick knew."""
        asked, felt = super().tick(inbox), inbox.last(Appraisal)
        if felt is not None:  # after a tick that failed, what was done stays done
            self._stage = felt.stage
        return replace(asked, stage=self._stage, past=inbox.last(Recollection))
