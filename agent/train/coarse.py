"""Experience as a level of a hierarchy sees it: further apart in time, more abstract.

Source: LeCun (2022) sec. 4.7, training of a hierarchical JEPA level by level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from agent.core.protocols import Encoder
from agent.core.spec import Layout
from agent.train.dataset import HELD_OUT, Dataset, drawn


class Viewpoint(nn.Module):
    """The perception of a level: codes of the latents below that `Coarse` puts behind sensors."""

    def __init__(self, level: Any, scalars: int) -> None:
        """Look behind `scalars` sensor values, through the abstraction of `level`."""
        super().__init__()
        self._level, self._scalars = level, scalars

    def encode(self, values: Tensor) -> Tensor:
        """Return the level's latents [..., Z] of values [..., O + Zb]."""
        code: Tensor = self._level.abstract(values[..., self._scalars :])
        return code

    def below(self, values: Tensor) -> Tensor:
        """Return the latents below [..., Zb] of values [..., O + Zb]; they do not learn from it."""
        return values[..., self._scalars :].detach()

    def fit_normaliser(self, values: Tensor) -> None:
        """Nothing to fit: what it sees are latents."""


@dataclass(frozen=True, slots=True)
class Coarse:
    """Episodes for a level: at every tick the sensors, the pooled latent below, and the actions.

    `values` [N T+1 O+Zb]; `actions` [N T' Ab] are those below that begin at a tick, each `ticks`
    long. A step of the level is `stride` of them. With `compress`, windows hold the level's own
    actions; without, what is done below, [... stride Ab], for the level to learn a code of.
    `lived` [N] is the `Dataset`'s, in ticks.
    """

    values: Tensor
    actions: Tensor
    ticks: int
    stride: int
    compress: Any = None
    lived: Tensor | None = None

    @property
    def step(self) -> int:
        """Return the ticks of a step."""
        return self.ticks * self.stride

    def sample(self) -> Tensor:
        """Return values [... O+Zb] to take statistics of: all."""
        return self.values

    def split(self) -> tuple[Coarse, Coarse]:
        """Return the episodes to learn from and the held-out ones, as `Dataset` does."""
        held = torch.arange(len(self.values)) % HELD_OUT == HELD_OUT - 1
        return self._only(~held), self._only(held)

    def _only(self, which: Tensor) -> Coarse:
        lived = None if self.lived is None else self.lived[which]
        return replace(self, values=self.values[which], actions=self.actions[which], lived=lived)

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw values [count length+1 O+Zb], a step apart, and the actions between them."""
        last = self.values.shape[1] - 1 - length * self.step
        episode, start = drawn(len(self.values), last, self.lived, count, generator)
        tick = start + self.step * torch.arange(length + 1)
        begun = start + self.ticks * torch.arange(length * self.stride)
        done = self.actions[episode, begun].view(count, length, self.stride, -1)
        return self.values[episode, tick], done if self.compress is None else self.compress(done)


@dataclass(frozen=True, slots=True)
class Span:
    """Windows of a level in ticks: of a `dataset`, all that its steps of so many ticks are made of.

    The same as `Coarse` draws, so many steps long, and the ticks before as far as what the level
    encodes looks back, `context`; before the first stands the first.
    """

    dataset: Dataset
    step: int
    context: int

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sensors [count C+T+1 O], and the commands of all but the first C [count T A]."""
        data, ticks = self.dataset, length * self.step
        episode, start = drawn(len(data), data.ticks - ticks, data.lived, count, generator)
        tick = (start + torch.arange(-self.context, ticks + 1)).clamp(min=0)
        return data.at(episode, tick), data.commands[episode, start + torch.arange(ticks)]


@torch.no_grad()
def ladder(levels: Sequence[Any], dataset: Dataset, eyes: Encoder, sensors: Layout) -> Coarse:
    """Return the experience of the last of `levels`; those below it are trained.

    `eyes` encodes the dataset's values; latents of all ticks are computed once.
    """
    scalars = dataset.values[..., : sensors.scalars.size]
    latents, actions, ticks = eyes.encode(dataset.values), dataset.commands, 1
    for below in levels[:-1]:
        latents = below.abstract(below.pooled(latents))
        count = actions.shape[1] - below.ticks + ticks
        begun = torch.arange(count)[:, None] + ticks * torch.arange(below.stride)
        actions, ticks = below.compress(actions[:, begun]), below.ticks
    top = levels[-1]
    values = torch.cat((top.told(scalars), top.pooled(latents)), dim=-1)
    return Coarse(values, actions, ticks, top.stride, lived=dataset.lived)
