"""Guardrails as one would naively evaluate them through an ensemble, to be compared with ours.

They wrap another guardrail and are named in a config like any other.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from agent.config.choose import choose
from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Wrapped:
    """Another guardrail, as it is: the ensemble's worst member decides."""

    class Config(Settings):
        """`of` is the guardrail, as it stands in the config."""

        of: dict[str, Any]

    def __init__(self, config: Config, site: Site) -> None:
        """Build the guardrail inside. Raises InputError if it refuses its settings."""
        self._inner = choose("guardrail", "redteam", config.of).build(site)
        self.name: str = self._inner.name
        self.quantity = getattr(self._inner, "quantity", None)
        self.realised = bool(getattr(self._inner, "realised", True))

    def value(self, rollout: Rollout) -> Tensor:
        """Return the inner guardrail's value, [E B K H]."""
        found: Tensor = self._inner.value(rollout)
        return found


class Averaged(Wrapped):
    """Another guardrail that believes the mean over all imagined futures."""

    def value(self, rollout: Rollout) -> Tensor:
        """Return the mean over futures, the same for each, [E B K H]."""
        found = super().value(rollout)
        return found.mean(dim=0, keepdim=True).expand_as(found)


class Single(Wrapped):
    """Another guardrail that believes the first imagined future, as if there were one network."""

    def value(self, rollout: Rollout) -> Tensor:
        """Return the first future's value, the same for each, [E B K H]."""
        found = super().value(rollout)
        return found[:1].expand_as(found)


KINDS = {
    "margin": "",
    "worst": "",
    "mean": f"{__name__}:Averaged",
    "single": f"{__name__}:Single",
}
"""How a guardrail is believed, by name: as configured, or without margins in a naive way."""


def believed(listed: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return a config's guardrails as `kind` of `KINDS` would have them evaluated."""
    use = KINDS[kind]
    return [{"use": use, "of": part} for part in listed] if use else listed


def trusted(margins: Tensor, kind: str) -> Tensor:
    """Return the margins that go with `kind`: the calibrated ones, or none."""
    return margins if kind == "margin" else margins * 0.0
