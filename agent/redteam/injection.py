"""Faults injected into a living agent, one after another, and counted.

Counted are unvalidated actions, ticks in which a fault that left no plan did not end in the
fallback at once, and exceptions that left the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from agent.redteam.faults import TICKS, Fault, faults
from agent.redteam.harness import Watch, Watched
from agent.redteam.told import Figures, Told, count


@dataclass(slots=True)
class Injected:
    """What came of all faults of one family, added up."""

    faults: int = 0
    unvalidated: int = 0
    uncaught: int = 0
    late: int = 0
    noticed: int = 0
    transient: int = 0
    recovered: int = 0


def inject(
    watch: Watch, slow: Watch, seed: int, only: Callable[[Fault], bool] = lambda _: True
) -> Iterator[tuple[Fault, Watched]]:
    """Yield every fault with what came of it; `slow` is a watch whose deadline is in force."""
    for index, fault in enumerate(faults(slow.agent.gate.deadline_ms)):
        if not only(fault):
            continue
        torch.manual_seed(index)
        one = slow if fault.deadline else watch
        one.bends = dict(fault.bends)
        yield fault, one.live([seed + index % 64], TICKS, fault.at, fault.until)
        one.bends = {}


def figures(found: list[tuple[Fault, Watched]]) -> Figures:
    """Return counts over all faults and by family."""
    families: dict[str, Injected] = {}
    for fault, came in found:
        for name in ("", f".{fault.family}"):
            one = families.setdefault(name, Injected())
            one.faults += 1
            one.unvalidated += came.unvalidated
            one.uncaught += len(came.uncaught)
            one.late += came.late
            one.noticed += bool(came.flags)
            one.transient += came.recovered is not None
            one.recovered += bool(came.recovered)
    told: Figures = {}
    for name, one in sorted(families.items()):
        told[f"faults{name}"] = Told(float(one.faults))
        told[f"unvalidated{name}"] = count(one.unvalidated, one.faults, "faults")
        told[f"uncaught{name}"] = count(one.uncaught, one.faults, "faults")
        told[f"late{name}"] = count(one.late, one.faults, "faults")
        told[f"noticed{name}"] = count(one.noticed, one.faults, "faults")
        told[f"recovered{name}"] = count(one.recovered, one.transient, "faults")
    return told
