"""Guardrail: all of several hold."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Site
from modules.cost.guardrails.logic import Compound, Parts, words


class AllOf(Compound):
    """At every step every part holds: value = max of the parts' values <= 0.

    For use inside others: guardrails that stand side by side must all hold anyway.
    """

    Config = Parts

    def __init__(self, config: Parts, site: Site, parts: tuple[Guardrail, ...]) -> None:
        """Join `parts`."""
        super().__init__(config.name, parts, config.scale)
        self.text = " and ".join(map(words, parts))

    def value(self, rollout: Rollout) -> Tensor:
        """Return the largest of the parts' values at every imagined step, [E B K H]."""
        return torch.stack(self.asked(rollout)).amax(dim=0)
