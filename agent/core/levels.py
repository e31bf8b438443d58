"""Climbing: how what is perceived now looks from every level above, and plans that follow others.

Source: LeCun (2022) sec. 4.7, hierarchical planning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from agent.core.messages import Plan
from agent.core.protocols import Above


class Climb:
    """Keeps the latents of the last ticks, as far as levels pool them, and encodes them upwards."""

    def __init__(self, above: Sequence[Above]) -> None:
        """Look from `above`, the nearest level first."""
        self._above = tuple(above)
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._kept: list[Tensor | None] = [None] * len(self._above)

    def see(self, latent: Tensor) -> list[Tensor]:
        """Return the code [B Z] at every level above of this tick's latent [B Z]; once a tick."""
        codes, code = [], latent
        for index, above in enumerate(self._above):
            kept, before = code[:, None], self._kept[index]
            if before is not None and len(before) == len(code):
                kept = torch.cat((before, kept), dim=1)[:, -above.level.pool :]
            self._kept[index] = kept
            code = above.level.abstract(above.level.pooled(kept)[:, -1])
            codes.append(code)
        return codes


def plans(plan: Plan) -> Iterator[Plan]:
    """Yield a plan and those that it follows, the lowest level first."""
    here: Plan | None = plan
    while here is not None:
        yield here
        here = here.above
