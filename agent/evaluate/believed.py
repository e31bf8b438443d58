"""What the guardrails believed, counted from an audit log; what truly happened is not in there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.evaluate.statistics import proportion

LIMITS, FAULTS = "actuator limits", "faults"
"""What a plan was changed for where no guardrail was broken, and where none was asked."""


@dataclass(frozen=True, slots=True)
class Belief:
    """One guardrail over a run.

    `covered` is the share of ticks, with its 95 % interval, in which the value read out from the
    next percept was no higher than foreseen, margin included; `n` ticks were compared (0: never
    realised). `broken` are the ticks in which that value was above 0.
    """

    covered: float
    low: float
    high: float
    n: int
    broken: int


@dataclass(frozen=True, slots=True)
class Believed:
    """Rulings by what they were for and how they ended, and a `Belief` for each guardrail."""

    allowed: int
    repaired: Mapping[str, Mapping[str, int]]
    vetoed: Mapping[str, int]
    guardrails: Mapping[str, Belief]


def believed(header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Believed:
    """Return the sums of an audit log: `header` is its first line, `lines` its verdicts."""
    rows = list(lines)
    repaired: dict[str, Counter[str]] = {}
    vetoed: Counter[str] = Counter()
    for row in rows:
        if row["ruling"] == "repaired":
            kind = row["reason"].rpartition("; ")[2]
            repaired.setdefault(row["guardrail"] or LIMITS, Counter())[kind] += 1
        elif row["ruling"] == "vetoed":
            vetoed[row["guardrail"] or FAULTS] += 1
    names = [g["name"] for g in header.get("guardrails", ())]
    return Believed(
        allowed=sum(row["ruling"] == "allowed" for row in rows),
        repaired=repaired,
        vetoed=vetoed,
        guardrails={name: _belief(name, rows) for name in names},
    )


def _belief(name: str, rows: Sequence[Mapping[str, Any]]) -> Belief:
    pairs = [
        (float(row["ahead"][name]), float(row["realised"][name]))
        for row in rows
        if row["ahead"].get(name) is not None and row["realised"].get(name) is not None
    ]
    broken = sum(not came <= 0.0 for _, came in pairs)
    judged = [(ahead, came) for ahead, came in pairs if math.isfinite(ahead)]
    if not judged:
        return Belief(math.nan, math.nan, math.nan, 0, broken)
    value, low, high = proportion(sum(came <= ahead for ahead, came in judged), len(judged))
    return Belief(value, low, high, len(judged), broken)
