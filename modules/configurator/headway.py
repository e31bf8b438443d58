"""How far agents have come with a goal, by the energy that their plans still expect."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FOLLOW = 0.1
"""How fast the idea of what goals usually take follows."""


class Headway:
    """The energy still expected, as a share of the most that a goal has taken.

    Of what goals usually take, where that is known from earlier episodes and more: a goal that was
    near from the start is not far for all that.
    """

    def __init__(self) -> None:
        """Know no goal yet."""
        self._usual = 0.0
        self.begin(1)

    def begin(self, batch: int) -> None:
        """Start an episode of `batch` agents."""
        self._last, self._most = torch.full((2, batch), torch.nan)

    def keep(self) -> None:
        """Take what goals took in this episode into what they usually do."""
        took = float(self._most.nanmean())
        if math.isfinite(took):
            self._usual += (FOLLOW if self._usual else 1.0) * (took - self._usual)

    def take(self, energy: Tensor) -> None:
        """Take in what the last plans expect to pay, [B]; what is not finite says nothing."""
        self._last = torch.where(energy.isfinite(), energy, self._last)
        self._most = torch.fmax(self._most, self._last)

    def renew(self, rows: Tensor) -> None:
        """Let agents `rows` [B] begin with another goal."""
        self._last = torch.where(rows, torch.nan, self._last)
        self._most = torch.where(rows, torch.nan, self._most)

    @property
    def share(self) -> Tensor:
        """The share of the energy still expected, [B]; NaN where nothing is known yet."""
        share: Tensor = self._last / self._most.clamp(min=max(self._usual, 1e-6))
        return share
