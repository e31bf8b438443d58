"""Experience: episodes of sensors and commands, all of one length; images a byte a pixel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agent.core.errors import InputError
from agent.train.images import Images

HELD_OUT = 10
"""Every tenth episode is kept out of training, to measure errors on."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Episodes as packed sensors `values` [N T+1 O] and `commands` [N T A], both float32.

    Where there are `images`, `values` hold the scalar sensors only; `windows` joins the two.
    """

    values: Tensor
    commands: Tensor
    images: Images | None = None

    @property
    def transitions(self) -> int:
        """Number of ticks in all episodes together."""
        return self.commands.shape[0] * self.commands.shape[1]

    @property
    def ticks(self) -> int:
        """Length of every episode."""
        return self.commands.shape[1]

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.values)

    def __add__(self, other: Dataset) -> Dataset:
        """Return both datasets' episodes. Raises ValueError if their lengths differ."""
        assert self.images is None, "datasets with images do not add up: keep their latents"
        assert other.images is None
        if self.ticks != other.ticks:
            raise ValueError(
                f"dataset: expected episodes of {self.ticks} ticks, came {other.ticks};"
                f" collect episodes of one length"
            )
        return Dataset(
            torch.cat((self.values, other.values)), torch.cat((self.commands, other.commands))
        )

    def split(self) -> tuple[Dataset, Dataset]:
        """Return the episodes to learn from and the held-out ones; images are not copied."""
        held = torch.arange(len(self)) % HELD_OUT == HELD_OUT - 1
        return self._only(~held), self._only(held)

    def _only(self, which: Tensor) -> Dataset:
        images = None if self.images is None else self.images.only(which)
        return Dataset(self.values[which], self.commands[which], images)

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw windows: sensors [count length+1 O] and the commands between them [count length A].

        Episodes and starts are uniform and a function of the generator's state alone.
        """
        episode = torch.randint(len(self), (count, 1), generator=generator)
        start = torch.randint(self.ticks - length + 1, (count, 1), generator=generator)
        tick = start + torch.arange(length + 1)
        return self.at(episode, tick), self.commands[episode, tick[:, :-1]]

    def at(self, episode: Tensor, tick: Tensor) -> Tensor:
        """Return all sensors [... O], images included, at these ticks of these episodes."""
        values = self.values[episode, tick]
        if self.images is None:
            return values
        return self.images.beside(values, episode, tick)

    def sample(self, count: int = 1024) -> Tensor:
        """Return sensors [... O] to take statistics of: all; with images, of `count` ticks."""
        if self.images is None:
            return self.values
        return self.windows(count, 0, torch.Generator().manual_seed(0))[0]

    def tensors(self) -> dict[str, Tensor]:
        """Return the dataset as named tensors, without its images."""
        return {"values": self.values, "commands": self.commands}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Dataset:
        """Return the dataset that `tensors()` gave."""
        return Dataset(tensors["values"], tensors["commands"])

    def save(self, path: Path) -> None:
        """Write the dataset as safetensors, whole or not at all."""
        part = path.with_suffix(path.suffix + ".part")
        save_file(self.tensors(), part)
        os.replace(part, path)

    @staticmethod
    def load(path: Path) -> Dataset:
        """Read a dataset. Raises InputError if there is none at `path`."""
        if not path.is_file():
            raise InputError(f"dataset: expected a file at {path}, found none; collect it first")
        return Dataset.from_tensors(load_file(path))
