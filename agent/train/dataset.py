"""Experience: episodes of sensors and commands, all of one length."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agent.core.errors import InputError

HELD_OUT = 10
"""Every tenth episode is kept out of training, to measure errors on."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Episodes as packed sensors `values` [N T+1 O] and `commands` [N T A], both float32."""

    values: Tensor
    commands: Tensor

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
        if self.ticks != other.ticks:
            raise ValueError(
                f"dataset: expected episodes of {self.ticks} ticks, came {other.ticks};"
                f" collect episodes of one length"
            )
        return Dataset(
            torch.cat((self.values, other.values)), torch.cat((self.commands, other.commands))
        )

    def split(self) -> tuple[Dataset, Dataset]:
        """Return the episodes to learn from and the held-out ones."""
        held = torch.arange(len(self)) % HELD_OUT == HELD_OUT - 1
        return (
            Dataset(self.values[~held], self.commands[~held]),
            Dataset(self.values[held], self.commands[held]),
        )

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw windows: sensors [count length+1 O] and the commands between them [count length A].

        Episodes and starts are uniform and a function of the generator's state alone.
        """
        episode = torch.randint(len(self), (count, 1), generator=generator)
        start = torch.randint(self.ticks - length + 1, (count, 1), generator=generator)
        tick = start + torch.arange(length + 1)
        return self.values[episode, tick], self.commands[episode, tick[:, :-1]]

    def tensors(self) -> dict[str, Tensor]:
        """Return the dataset as named tensors."""
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
