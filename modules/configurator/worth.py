"""What deliberating is worth, by situation, as learned from what came of it.

Source: Russell, Wefald (1991), the value of computation; Daw, Niv, Dayan (2005), arbitration
between a deliberating and a habitual controller; Sutton, Barto (2018) sec. 2.4, sample averages.
"""

from __future__ import annotations

import torch
from torch import Tensor

MODES = 2
"""Reacting, deliberating: rows of the tables here, in this order."""


class Worth:
    """Averages of what was gained, by mode and by situation, of which there are C.

    A life is a sum [2 C] that all agents share and that changes between episodes only; during one
    each agent adds its own, so that none depends on the others beside it. Deliberating is believed
    to gain `hope` as firmly as if `prior` tries had shown it; reacting, where it has not been
    tried, as much as deliberating does, the more firmly the better that is known: so both get
    tried. Of a life the share `kept` stays after every episode, so that beliefs return where
    nothing has been tried for long.
    """

    def __init__(self, situations: int, hope: float, prior: float, kept: float) -> None:
        """Know nothing yet."""
        self._size, self._hope, self._prior, self._kept = (MODES, situations), hope, prior, kept
        self.forget()

    def forget(self) -> None:
        """Start a new life."""
        self._count, self._sum = torch.zeros(2, *self._size)
        self.begin(1)

    def begin(self, batch: int) -> None:
        """Start an episode of `batch` agents; what the last one taught is lost unless kept."""
        self._counts, self._sums = torch.zeros(2, batch, *self._size)

    def keep(self) -> None:
        """Take what agents learned in this episode into the life they share."""
        self._count = self._kept * self._count + self._counts.sum(dim=0)
        self._sum = self._kept * self._sum + self._sums.sum(dim=0)
        self.begin(len(self._counts))

    def learn(self, thought: Tensor, situation: Tensor, gain: Tensor, rows: Tensor) -> None:
        """Take in the `gain` of `rows` [n]: who `thought`, in which `situation`, all [B]."""
        where = rows, thought[rows].long(), situation[rows]
        one = torch.ones_like(gain[rows])
        self._counts = self._counts.index_put(where, one, accumulate=True)
        self._sums = self._sums.index_put(where, gain[rows], accumulate=True)

    def table(self) -> tuple[Tensor, Tensor]:
        """Return what reacting and deliberating are believed to gain, each [B C]."""
        count, total = self._count + self._counts, self._sum + self._sums
        tried = count[:, 1] + self._prior
        thought = (total[:, 1] + self._prior * self._hope) / tried
        known = count[:, 1] / tried
        reacted = (total[:, 0] + known * thought) / (count[:, 0] + known).clamp(min=1e-6)
        return reacted, thought
