"""Guardrail: one thing holds until another has happened."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Site
from agent.core.settings import Settings
from modules.cost.guardrails.logic import Compound, Part, Scale, words


class Until(Compound):
    """Never A until B: value = min(keep, least value of `until` so far in the episode) <= 0.

    From the step at which `until` holds on, `keep` binds no longer; `until` need never happen.
    What has happened is read from percepts, tick by tick; a percept that is not finite shows
    nothing, and so nothing has happened. The future counts as imagined: a plan may do B first and
    A after it, and both are judged anew as it is carried out.
    Source: Donzé, Maler (2010), the (weak) until of signal temporal logic.
    """

    holds = ("keep", "until")

    class Config(Settings):
        """`keep` holds until `until` has held once; a `scale` for both if their units differ."""

        name: str
        keep: Part
        until: Part
        scale: Scale | None = None

    def __init__(self, config: Config, site: Site, parts: tuple[Guardrail, ...]) -> None:
        """Hold the first of `parts` until the second has happened."""
        super().__init__(config.name, parts, config.scale)
        self.text = f"{words(parts[0])} until {words(parts[1])}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return the smaller of keep and the least of until so far, [E B K H]."""
        keep, happened = self.asked(rollout)
        happened = happened.cummin(dim=-1).values
        before = rollout.past.get(self.name)
        if before is not None:
            happened = torch.minimum(happened, before[:, :, None])
        return torch.minimum(keep, happened)

    def remember(self, now: Rollout) -> Tensor:
        """Return the least value of `until` so far, [B 1]; infinite while nothing was seen."""
        value = self.asked(now)[1][0, :, :, 0].nan_to_num(nan=torch.inf)
        before = now.past.get(self.name)
        return value if before is None else torch.minimum(value, before)
