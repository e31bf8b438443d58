"""Guardrail: at least one of several holds."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Site
from modules.cost.guardrails.logic import Compound, Parts, words


class AnyOf(Compound):
    """At every step some part holds: value = min of the parts' values <= 0."""

    Config = Parts

    def __init__(self, config: Parts, site: Site, parts: tuple[Guardrail, ...]) -> None:
        """Join `parts`."""
        super().__init__(config.name, parts, config.scale)
        self.text = " or ".join(map(words, parts))

    def value(self, rollout: Rollout) -> Tensor:
        """Return the least of the parts' values at every imagined step, [E B K H]."""
        return torch.stack(self.asked(rollout)).amin(dim=0)
