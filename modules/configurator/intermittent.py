"""A configurator that lets an agent think every few ticks; in between the last plan goes on.

Source: Gawthrop et al. (2011), intermittent control: act open loop until there is reason to look.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Appraisal, Directive, Recollection, Ruling, Verdict
from agent.core.protocols import Inbox, Site
from modules.configurator.tracking import TrackingConfigurator


class IntermittentConfigurator(TrackingConfigurator):
    """As `tracking`, and an agent goes on with its last plan for `carry` ticks in a row.

    It thinks again at once when its goal changes, or how far it has come with it (`stage`), and
    when the gate did not let the last plan out as it was; so does, in a hierarchy, the level below
    one that plans anew. The gate judges every tick.
    """

    class Config(TrackingConfigurator.Config):
        """What every tick is given, as for `fixed`, and for how many ticks plans go on."""

        carry: int = Field(default=3, ge=1)

    recalls: ClassVar[tuple[type, ...]] = (Appraisal, Recollection, Verdict)
    posts = Directive
    config: Config

    def __init__(self, config: Config, site: Site) -> None:
        """Prepare the directive.

        Raises InputError as `fixed` does, and if plans are over before they are looked at again.
        """
        super().__init__(config, site)
        if config.carry >= config.horizon:
            raise InputError(
                f"configurator.carry: expected fewer ticks than the horizon of {config.horizon},"
                f" came {config.carry}: a plan that is over is rest; lower it, or raise the horizon"
            )
        self.reset(1)

    def reset(self, batch: int) -> None:
        """Start an episode: there is no plan yet."""
        super().reset(batch)
        self._asked: Directive | None = None
        self._carried = torch.zeros(batch, dtype=torch.int64)

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive for this tick; it says who goes on with the last plan."""
        asked, verdict, before = super().tick(inbox), inbox.last(Verdict), self._asked
        self._asked = asked
        if verdict is None or before is None or before.goal.shape != asked.goal.shape:
            self._carried = torch.zeros(len(asked.goal), dtype=torch.int64)
            return asked
        carry = (verdict.ruling == Ruling.ALLOWED) & (self._carried < self.config.carry)
        for now, then in (
            (asked.goal, before.goal),
            (asked.latent, before.latent),
            (asked.stage, before.stage),
        ):
            carry = carry & _same(now, then)
        self._carried = torch.where(carry, self._carried + 1, 0)
        return replace(asked, carry=carry)


def _same(now: Tensor | None, then: Tensor | None) -> Tensor:
    """Say of whom two tensors [B ...] say the same, [B]; one answer for all where one is None."""
    if now is None or then is None or now.shape != then.shape:
        return torch.tensor(now is then)
    return (now == then).reshape(len(now), -1).all(dim=1)
