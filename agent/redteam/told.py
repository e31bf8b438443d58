"""One measured figure, and how shares and counts become one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from agent.evaluate.statistics import mean, proportion


class Told(NamedTuple):
    """A figure as `--json` writes it: value, 95 % interval (None: it has none), n and unit."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""


Figures = dict[str, Told]


def share(hits: Tensor) -> Told:
    """Return the share of `hits` [n] that are true, with its Wilson interval; nothing of none."""
    n = hits.numel()
    if n == 0:
        return Told(None, 0.0, 1.0, 0, "share")
    return Told(*proportion(int(hits.sum()), n), n, "share")


def average(values: Tensor, unit: str = "") -> Told:
    """Return the mean of `values` [n] with its bootstrap interval; nothing of none."""
    if values.numel() == 0:
        return Told(None, None, None, 0, unit)
    return Told(*mean(values.double().numpy()), values.numel(), unit)


def count(events: int, n: int, unit: str = "") -> Told:
    """Return a number of `events` among `n` tries, with the Wilson interval of the expected one."""
    if n == 0:
        return Told(None, None, None, 0, unit)
    _, low, high = proportion(min(events, n), n)
    return Told(float(events), low * n, high * n, n, unit)


def flags(values: list[bool]) -> Tensor:
    """Return a list of yes and no as a tensor [n]."""
    return torch.tensor(values, dtype=torch.bool)
