"""Random commands: noise of unit variance and a given memory, [T B A]."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def ornstein_uhlenbeck(shape: tuple[int, int, int], keep: float, draw: torch.Generator) -> Tensor:
    """Return noise of `shape` [T B A] that keeps the share `keep` of itself from tick to tick."""
    noise = torch.randn(*shape, generator=draw)
    for tick in range(1, shape[0]):
        noise[tick] = keep * noise[tick - 1] + math.sqrt(1 - keep**2) * noise[tick]
    return noise


def coloured(shape: tuple[int, int, int], exponent: float, draw: torch.Generator) -> Tensor:
    """Return noise of `shape` [T B A] whose power falls with frequency as 1/f^`exponent`.

    0 is white, 1 pink, 2 red. The mean over time is free, of the lowest frequency's power.
    Source: Timmer, König (1995); for control, Pinneri et al. (2020), iCEM, and Eberhard et al.
    (2023), "Pink noise is all you need".
    """
    ticks = shape[0]
    frequency = torch.fft.rfftfreq(ticks).clamp(min=1.0 / ticks)
    scale = frequency ** (-exponent / 2)
    parts = torch.randn(2, len(scale), *shape[1:], generator=draw) * scale[:, None, None]
    parts[1, 0] = 0.0
    parts[0, 0] *= math.sqrt(2.0)
    if ticks % 2 == 0:
        parts[1, -1] = 0.0
        parts[0, -1] *= math.sqrt(2.0)
    weight = scale.square() * 4.0
    weight[0] /= 2.0
    if ticks % 2 == 0:
        weight[-1] /= 2.0
    deviation = weight.sum().sqrt() / ticks
    noise: Tensor = torch.fft.irfft(torch.complex(parts[0], parts[1]), n=ticks, dim=0) / deviation
    return noise
