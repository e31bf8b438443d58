"""Experience: episodes of sensors and commands, all of one length; images a byte a pixel.

Source: Kostrikov et al. (2019), Discriminator-Actor-Critic, section 4.2, for an end as a state that
is never left, and learned from as such.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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

    Where there are `images`, `values` hold the scalar sensors only; `windows` joins the two. Where
    the world ends episodes itself, `lived` [N] is how many ticks each of them had: what stands
    behind its end is that nothing changes any more. None: all of them had T.
    """

    values: Tensor
    commands: Tensor
    images: Images | None = None
    lived: Tensor | None = None

    @property
    def transitions(self) -> int:
        """Number of ticks that were lived in all episodes together."""
        if self.lived is not None:
            return int(self.lived.sum())
        return self.commands.shape[0] * self.commands.shape[1]

    @property
    def ticks(self) -> int:
        """Length of every episode."""
        return self.commands.shape[1]

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.values)

    @staticmethod
    def lived_by(values: Sequence[Tensor], commands: Sequence[Tensor], lived: Tensor) -> Dataset:
        """Return episodes that were lived side by side, of [B O] and [B A] a tick.

        `lived` [B] is how many ticks each of them had.
        """
        early = bool((lived < len(commands)).any())
        return Dataset(
            torch.stack(list(values), dim=1), torch.stack(list(commands), dim=1),
            lived=lived if early else None,
        )  # fmt: skip

    def __add__(self, other: Dataset) -> Dataset:
        """Return both datasets' episodes. Raises ValueError if their lengths differ."""
        assert self.images is None, "datasets with images do not add up: keep their latents"
        assert other.images is None
        if self.ticks != other.ticks:
            raise ValueError(
                f"dataset: expected episodes of {self.ticks} ticks, came {other.ticks};"
                f" collect episodes of one length"
            )
        values, commands = (self.values, other.values), (self.commands, other.commands)
        lived = None
        if self.lived is not None or other.lived is not None:
            lived = torch.cat((self.ends(), other.ends()))
        return Dataset(torch.cat(values), torch.cat(commands), lived=lived)

    def ends(self) -> Tensor:
        """Return after how many ticks each episode ended [N]."""
        return torch.full((len(self),), self.ticks) if self.lived is None else self.lived

    def split(self) -> tuple[Dataset, Dataset]:
        """Return the episodes to learn from and the held-out ones; images are not copied."""
        held = torch.arange(len(self)) % HELD_OUT == HELD_OUT - 1
        return self.only(~held), self.only(held)

    def only(self, which: Tensor | slice) -> Dataset:
        """Return some of the episodes; images are not copied."""
        images = None if self.images is None else self.images.only(which)
        lived = None if self.lived is None else self.lived[which]
        return Dataset(self.values[which], self.commands[which], images, lived)

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw windows: sensors [count length+1 O] and the commands between them [count length A].

        Episodes and starts are uniform and a function of the generator's state alone. No window
        begins after the end of its episode, though it may reach beyond.
        """
        episode, start = drawn(len(self), self.ticks - length, self.lived, count, generator)
        tick = start + torch.arange(length + 1)
        return self.at(episode, tick), self.commands[episode, tick[:, :-1]]

    def at(self, episode: Tensor, tick: Tensor) -> Tensor:
        """Return all sensors [... O], images included, at these ticks of these episodes."""
        values = self.values[episode, tick]
        if self.images is None:
            return values
        return self.images.beside(values, episode, tick)

    def sample(self, count: int = 1024) -> Tensor:
        """Return sensors [... O] to take statistics of: all; with images, of `count` ticks.

        After its end an episode shows nothing new, and nothing of that is returned.
        """
        if self.images is None and self.lived is None:
            return self.values
        if self.images is None:
            return self.values[torch.arange(self.ticks + 1) <= self.ends()[:, None]]
        return self.windows(count, 0, torch.Generator().manual_seed(0))[0]

    def tensors(self) -> dict[str, Tensor]:
        """Return the dataset as named tensors, without its images."""
        tensors = {"values": self.values, "commands": self.commands}
        return tensors if self.lived is None else {**tensors, "lived": self.lived}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Dataset:
        """Return the dataset that `tensors()` gave."""
        return Dataset(tensors["values"], tensors["commands"], lived=tensors.get("lived"))

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


def drawn(
    episodes: int, last: int, lived: Tensor | None, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw where windows begin: episodes and ticks, [count 1] each, uniformly.

    None begins after tick `last`, nor after the end of its episode: `lived` [N], None if none ends.
    """
    if lived is None:
        episode = torch.randint(episodes, (count, 1), generator=generator)
        return episode, torch.randint(last + 1, (count, 1), generator=generator)
    starts = lived.clamp(max=last) + 1
    upto = starts.cumsum(dim=0)
    number = torch.randint(int(upto[-1]), (count, 1), generator=generator)
    episode = torch.searchsorted(upto, number, right=True)
    return episode, number - (upto - starts)[episode]


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return the episodes of all parts."""
    return sum(parts[1:], parts[0])
