"""Guardrail: another one does not hold."""

from __future__ import annotations

from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Site
from agent.core.settings import Settings
from modules.cost.guardrails.logic import Compound, Part, words


class Negation(Compound):
    """At every step the part is violated: value = -(the part's value) <= 0.

    Exactly on the part's limit both hold, as a margin makes sure never decides anything.
    """

    class Config(Settings):
        """What must not hold: `of`."""

        name: str
        of: Part

    def __init__(self, config: Config, site: Site, parts: tuple[Guardrail, ...]) -> None:
        """Turn the one of `parts` around."""
        super().__init__(config.name, parts, None)
        self.text = f"not {words(parts[0])}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return minus the part's value at every imagined step, [E B K H]."""
        return -self.asked(rollout)[0]
