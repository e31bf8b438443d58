"""What guardrails made of other guardrails share: how parts are asked, and in what unit."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.guardrails import realised
from agent.core.messages import Rollout
from agent.core.protocols import Guardrail
from agent.core.settings import Settings

Part = dict[str, Any]
"""A guardrail inside another one, as it stands in the config: `use`, `name` and its settings."""

Scale = list[Annotated[float, Field(gt=0)]]
"""What counts as one unit of each part, in the part's own unit."""


class Compound:
    """A guardrail over the values of its `parts`, which the builder makes from `holds`.

    Its value is the robustness of signal temporal logic, with the sign turned: at most 0 where the
    rule holds, and its size says by how much. A part that is not finite makes all of it not a
    number, which the runtime counts as a violation: no minimum and no negation hides it.
    Source: Donzé, Maler (2010), Robust Satisfaction of Temporal Logic over Real-Valued Signals.
    """

    holds: ClassVar[tuple[str, ...]] = ("of",)

    def __init__(self, name: str, parts: tuple[Guardrail, ...], scale: list[float] | None) -> None:
        """Join `parts`, each divided by its `scale`, if given: the value then has no unit.

        Raises InputError if there is not one scale for each part, or no scale and several units.
        """
        self.name, self.parts = name, parts
        units = [str(getattr(part, "unit", "?")) for part in parts]
        if scale is not None and len(scale) != len(parts):
            raise InputError(
                f"guardrail {name}: expected a scale for each of {len(parts)} parts, came"
                f" {len(scale)}: {scale}"
            )
        if scale is None and len(set(units)) > 1:
            shown = ", ".join(f"{p.name} in {u or '1'}" for p, u in zip(parts, units, strict=True))
            raise InputError(
                f"guardrail {name}: expected parts of one unit, or a `scale` that makes them"
                f" comparable, came {shown}; add scale: [...], one per part, in its unit"
            )
        self.unit = units[0] if scale is None else ""
        self._scale = tuple(scale) if scale is not None else (1.0,) * len(parts)
        self.realised = all(realised(part) for part in parts)

    def asked(self, rollout: Rollout) -> list[Tensor]:
        """Return the scaled value of every part, each [E B K H], NaN where it is not finite."""
        found = []
        for part, scale in zip(self.parts, self._scale, strict=True):
            value = part.value(rollout) / scale
            found.append(torch.where(torch.isfinite(value), value, torch.nan))
        return found


class Parts(Settings):
    """Settings of a guardrail over several: `of`, and a `scale` for each if units differ."""

    name: str
    of: list[Part] = Field(min_length=1)
    scale: Scale | None = None


def words(part: Guardrail) -> str:
    """Return what a part demands, in brackets."""
    return f"({getattr(part, 'text', part.name)})"
