"""Guardrail: something happens before a deadline."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Site
from agent.core.settings import Settings
from modules.cost.guardrails.logic import Compound, Part, words


class Within(Compound):
    """Reach B before T: value = least value of B so far - pace * seconds left <= 0.

    A deadline beyond a plan's end would say nothing about the plan, so it comes down as a funnel:
    whatever B still lacks must be reachable in the time left at `pace`. From the deadline on B must
    have happened. The clock starts with the episode's first percept. Once missed, no plan is
    feasible any more, and the gate sends the fallback: a deadline is a limit, not a wish.
    Source: Donzé, Maler (2010), the bounded eventually; Lindemann, Verginis, Dimarogonas (2017),
    funnels for signal temporal logic.
    """

    class Config(Settings):
        """`of` must hold once, `seconds` into the episode, nearing at `pace` (its unit per s)."""

        name: str
        of: Part
        seconds: float = Field(gt=0)
        pace: float = Field(gt=0)

    def __init__(self, config: Config, site: Site, parts: tuple[Guardrail, ...]) -> None:
        """Demand the one of `parts` before the deadline."""
        super().__init__(config.name, parts, None)
        self._seconds, self._pace, self._tick = config.seconds, config.pace, 1.0 / site.rate_hz
        self.text = f"{words(parts[0])} within {config.seconds:g} s"

    def value(self, rollout: Rollout) -> Tensor:
        """Return what B lacks beyond what `pace` can still mend, [E B K H]."""
        lacking = self.asked(rollout)[0].cummin(dim=-1).values
        ahead = torch.arange(1, lacking.shape[-1] + 1, dtype=lacking.dtype)
        before, clock = rollout.past.get(self.name), (ahead - 1.0)[None, None] * self._tick
        if before is not None:
            lacking = torch.minimum(lacking, before[:, :1, None])
            clock = before[:, 1:, None] + ahead * self._tick
        return lacking - self._pace * (self._seconds - clock).clamp(min=0.0)

    def remember(self, now: Rollout) -> Tensor:
        """Return the least value of B so far and the seconds gone, [B 2]."""
        value = self.asked(now)[0][0, :, :, 0].nan_to_num(nan=torch.inf)
        before = now.past.get(self.name)
        if before is None:
            return torch.cat((value, torch.zeros_like(value)), dim=1)
        return torch.cat((torch.minimum(value, before[:, :1]), before[:, 1:] + self._tick), dim=1)
