"""Refinement: plans lowered by their own gradient through the world model, within the limits."""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Bill
from agent.core.settings import Settings
from modules.actor.search import Told, Wave

KEEP, KEEP_SQUARE = 0.9, 0.999
"""Adam's usual memory of slopes and of their squares.

By hand: torch's own takes seconds to import what it needs, in the first tick that plans.
"""
STEEPEST = 1e12
"""No slope counts for more, so that its square is still a number."""


class Descent(Settings):
    """How plans descend: `rate` of Adam in halves of the actuators' range, and guardrails' price.

    `penalty` is in units of a plan's own energy, per deviation of a guardrail's value beyond
    `room` deviations below its limit, summed over steps.
    Source: gradient-based Mode-2, LeCun (2022) sec. 3.1.2; Adam, Kingma, Ba (2015).
    """

    rate: float = Field(default=0.1, gt=0)
    penalty: float = Field(default=1.0, ge=0)
    room: float = Field(default=0.1, ge=0)

    def loss(self, bill: Bill) -> Tensor:
        """Return what is lowered, [B K]: energy over its own size, and the guardrails' price."""
        size = bill.energy.detach().abs().clamp(min=1e-6)
        rails = bill.guardrails
        seen = rails.detach().where(rails.isfinite(), 0.0)
        if not seen.shape[2]:
            return bill.energy / size
        deviation = seen.std(dim=(1, 3), keepdim=True, correction=0).clamp(min=1e-6)
        beyond = (rails / deviation + self.room).clamp(min=0.0).sum(dim=(2, 3))
        return bill.energy / size + self.penalty * beyond

    def waves(
        self, plans: Tensor, steps: int, within: Callable[[Tensor], Tensor], half: Tensor
    ) -> Generator[Wave, Told, Told]:
        """Take `steps` steps of Adam from plans [B K H A]; return what came of the last ones.

        After every step they are put back `within` the limits; `half` [A] is half their range.
        """
        mean, square = torch.zeros_like(plans), torch.zeros_like(plans)
        for step in range(1, steps + 1):
            told = yield Wave(plans, self.loss)
            assert told.slopes is not None
            slopes = (told.slopes * half).clamp(-STEEPEST, STEEPEST)
            mean = mean.lerp(slopes, 1 - KEEP)
            square = square.lerp(slopes.square(), 1 - KEEP_SQUARE)
            size = (square / (1 - KEEP_SQUARE**step)).sqrt() + 1e-8
            plans = within(plans - self.rate * half * (mean / (1 - KEEP**step)) / size)
        return (yield Wave(plans))
