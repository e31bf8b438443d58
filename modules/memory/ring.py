"""A ring of the latest moments of every agent, what short-term memories are made of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Ring:
    """The last `capacity` moments of a batch of agents, one row each, as named columns.

    Columns are zeros [B capacity ...] until they are written; moments are numbered from 0.
    """

    def __init__(self, batch: int, capacity: int, columns: Mapping[str, tuple[int, ...]]) -> None:
        """Allocate `columns`, by the shape of one entry; names that begin with `is_` are flags."""
        self.capacity, self.count = capacity, 0
        self._columns = {
            name: torch.zeros(
                batch, capacity, *shape, dtype=torch.bool if name.startswith("is_") else None
            )
            for name, shape in columns.items()
        }

    def write(self, **values: Tensor) -> None:
        """Write one moment of every agent, [B ...] by column, over the oldest one."""
        slot = self.count % self.capacity
        for name, value in values.items():
            self._columns[name][:, slot] = value
        self.count += 1

    def __len__(self) -> int:
        """Return how many moments are kept."""
        return min(self.count, self.capacity)

    def numbers(self, recent: int = 0) -> Tensor:
        """Return the numbers of what is kept but for the `recent` latest, oldest first."""
        first = self.count - len(self)
        return torch.arange(first, max(self.count - recent, first))

    def at(self, name: str, numbers: Tensor) -> Tensor:
        """Return a column at moments of these numbers, [B n ...]."""
        return self._columns[name][:, numbers % self.capacity]
