"""Views of experience in which some sensors tell nothing: what is shuffled is not kept.

Source: LeCun (2022) sec. 4.5; Grill et al. (2020), Bardes et al. (2022): the augmentations between
two views decide what a joint embedding is blind to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agent.core.errors import InputError, nearest
from agent.core.spec import Layout
from modules.world_model.lessons import Experience


class Shuffled:
    """Windows of a dataset in which, at every tick, some sensors show what they showed elsewhere.

    Each named sensor takes its value from another window and tick, independently, so that nothing
    predicts it and nothing is predicted by it; a latent trained to be predictable drops it.
    """

    def __init__(self, dataset: Experience, sensors: Layout, names: Sequence[str]) -> None:
        """Shuffle the sensors in `names`. Raises InputError for one that does not exist."""
        for name in names:
            if name not in sensors.names:
                hint = nearest(name, sensors.names)
                raise InputError(f"train.shuffled: the world has no sensor '{name}'; {hint}")
        self._dataset, self._where = dataset, [sensors[name] for name in names]

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sensors [count length+1 O] and commands [count length A], as the dataset does."""
        values, commands = self._dataset.windows(count, length, generator)
        return self.view(values, generator), commands

    def view(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return another view of windows [n L+1 O]: the same, but for what is shuffled."""
        rows = values.flatten(0, 1)
        mixed = rows.clone()
        for where in self._where:
            other = torch.randint(len(rows), (len(rows),), generator=generator)
            mixed[:, where] = rows[other, where]
        return mixed.view_as(values)


__all__ = ["Shuffled"]
