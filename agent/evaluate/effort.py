"""What a decision takes: multiply-adds, counted, and milliseconds, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

Decide = Callable[[int], Tensor]
"""Decides about the case of that number."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Multiply-adds of a decision's matrix products (mean over cases), and its milliseconds."""

    multiply_adds: float
    ms: tuple[float, ...]


def efforts(deciders: Mapping[str, Decide], cases: Sequence[int]) -> dict[str, Effort]:
    """Return what each takes to decide all `cases`: every round each decides once.

    A first round, when caches are cold, is the one that is counted in multiply-adds, half of what
    torch's own counter calls flops; elementwise operations are not in it.
    """
    counted = {name: _multiply_adds(decide, cases) for name, decide in deciders.items()}
    times: dict[str, list[float]] = {name: [] for name in deciders}
    for case in cases:
        for name, decide in deciders.items():
            begin = time.perf_counter()
            decide(case)
            times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: Effort(counted[name], tuple(times[name])) for name in deciders}


def _multiply_adds(decide: Decide, cases: Sequence[int]) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for case in cases[:2]:
            decide(case)
    return float(counter.get_total_flops()) / 2 / len(cases[:2])
