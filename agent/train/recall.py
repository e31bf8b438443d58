"""Latents in place of images: after perception is frozen every frame is encoded once.

Later stages look at each state thousands of times. What they get as sensors are the scalars and,
behind them, the latent; what they get as perception looks it up there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agent.core.protocols import Encoder
from agent.core.spec import Layout
from agent.train.dataset import Dataset


class Recall(nn.Module):
    """A perception of values that carry their latent behind `scalars` sensor values."""

    def __init__(self, scalars: int) -> None:
        """Look behind so many values."""
        super().__init__()
        self._scalars = scalars

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of values [..., O + Z]."""
        return values[..., self._scalars :]

    def fit_normaliser(self, values: Tensor) -> None:
        """Nothing to fit: latents are what perception made them."""


def recalling(perception: Encoder, sensors: Layout) -> Encoder:
    """Return what encodes stored values: `perception` itself where there are no images."""
    scalars = sensors.scalars
    return perception if scalars == sensors else Recall(scalars.size)


@torch.no_grad()
def remembered(values: Tensor, perception: Encoder, sensors: Layout) -> Tensor:
    """Return sensor values [..., O] to be stored: with the latent in place of images."""
    scalars = sensors.scalars
    if scalars == sensors:
        return values
    return torch.cat((values[..., : scalars.size], perception.encode(values)), dim=-1)


def encoded(dataset: Dataset, perception: Encoder, sensors: Layout) -> Dataset:
    """Return the dataset with latents in place of images, episode by episode."""
    if dataset.images is None:
        return dataset
    ticks = torch.arange(dataset.ticks + 1)
    parts = [
        remembered(dataset.at(torch.tensor(episode), ticks), perception, sensors)
        for episode in range(len(dataset))
    ]
    return Dataset(torch.stack(parts), dataset.commands, lived=dataset.lived)
