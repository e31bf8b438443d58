"""What perceptions without a state of their own make of a latent: a percept, and its surprise."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Forecast, Percept

EPSILON = 1e-6
"""Least squared spread a surprise is measured against."""


def percept(latent: Tensor, missing: Tensor, forecast: Forecast | None) -> Percept:
    """Return the percept of latents [B Z] that were encoded without `missing` [B] sensors.

    Surprise is the squared error of the `forecast` over its own spread, that over draws of a latent
    variable included; 0 where nothing was forecast. Every missing sensor adds 1 to the variance.
    """
    if forecast is None:
        return Percept(latent, missing.sqrt(), torch.zeros_like(missing))
    variance = forecast.spread.square() + forecast.z_spread.square()
    error = (latent - forecast.latent).square().sum(dim=1)
    return Percept(latent, (variance + missing).sqrt(), error / variance.clamp(min=EPSILON))
