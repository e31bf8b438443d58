"""What a latent kept: how well quantities are read, and whether it tells who it is.

Source: Alain, Bengio (2016), linear classifier probes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.spec import Layout
from agent.train.dataset import HELD_OUT, Dataset

STRIDE = 3
"""Every third tick is probed: neighbours say nearly the same."""


def explained(read: Tensor, truth: Tensor, layout: Layout) -> dict[str, float]:
    """Return the share of each quantity's variance that `read` [n O] explains of `truth`.

    What never changed is left out.
    """
    error, spread = (read - truth).square(), (truth - truth.mean(dim=0)).square()
    return {
        channel.name: float(1 - error[:, where].sum() / spread[:, where].sum())
        for channel, where in layout.slices()
        if bool(spread[:, where].any())
    }


@torch.no_grad()
def told_apart(known: Dataset, held: Dataset, layout: Layout, who: Tensor) -> float:
    """Return the share of held-out ticks whose episode's class a linear probe tells.

    Datasets carry latents behind the scalars of `layout` (`agent.train.recall`).
    `who` [N] are the classes, whole numbers from 0, of the episodes before they were split.
    """
    count = len(range(0, known.ticks + 1, STRIDE))
    out = torch.arange(len(who)) % HELD_OUT == HELD_OUT - 1
    classes, truth = (who[which].repeat_interleave(count) for which in (~out, out))
    targets = torch.nn.functional.one_hot(classes).double()
    weights = torch.linalg.lstsq(_latents(known, layout), targets).solution
    guess = (_latents(held, layout) @ weights).argmax(dim=1)
    return float((guess == truth).float().mean())


def _latents(data: Dataset, layout: Layout) -> Tensor:
    """Return latents and a one, [n Z+1]."""
    latents = data.values[:, ::STRIDE, layout.size :].flatten(0, 1)
    return torch.cat((latents, torch.ones(len(latents), 1)), dim=1).double()
