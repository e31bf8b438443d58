"""A configurator that lets an agent think every few ticks; in between the last plan goes on.

Source: Gawthrop et al. (2011), intermittent control: act open loop until there is reason to look.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Appraisal, Directive, Recollection, Ruling, Verdict
from agent.core.protocols import Inbox, Site
from modules.configurator.tracking import TrackingConfigurator


class IntermittentConfigurator(TrackingConfigurator):
    """As `tracking`, and an agent goes on with its last plan for `carry` ticks in a row.

    It thinks again at once when its goal changes, and when the gate did not let the last plan out
    as it was; so does, in a hierarchy, the level below one that plans anew. The gate judges every
    tick.
    """

    class Config(TrackingConfigurator.Config):
        """What every tick is given, as for `fixed`, and for how many ticks plans go on."""

        carry: int = Field(default=3, ge=1)

    recalls: ClassVar[tuple[type, ...]] = (Appraisal, Recollection, Verdict)
    posts = Directive
    config: Config

    def __init__(self, config: Config, site: Site) -> None:
        """Prepare the directive; raises InputError as `fixed` does."""
        super().__init__(config, site)
        self.reset(1)

    def reset(self, batch: int) -> None:
        """Start an episode: there is no plan yet."""
        super().reset(batch)
        self._goal: Tensor | None = None
        self._carried = torch.zeros(batch, dtype=torch.int64)

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive for this tick; it says who goes on with the last plan."""
        asked, verdict, before = super().tick(inbox), inbox.last(Verdict), self._goal
        self._goal = asked.goal
        if verdict is None or before is None or before.shape != asked.goal.shape:
            self._carried = torch.zeros(len(asked.goal), dtype=torch.int64)
            return asked
        carry = (asked.goal == before).all(dim=1) & (verdict.ruling == Ruling.ALLOWED)
        carry = carry & (self._carried < self.config.carry)
        self._carried = torch.where(carry, self._carried + 1, 0)
        return replace(asked, carry=carry)
