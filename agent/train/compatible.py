"""Pairs of a present and a future that belong together, and pairs that do not.

A world model is an energy: low where a future follows from a present under the commands, high
elsewhere. Source: LeCun (2022) sec. 4.1-4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from modules.world_model.energy import energies

SEED = 700_000
"""First seed of the fresh episodes that pairs are taken from; below those of evaluation."""

KINDS = ("shuffled", "wrong_time", "other_commands")


@dataclass(frozen=True, slots=True)
class Pairs:
    """n windows of L ticks, and how each may be made incompatible.

    `values` [n L+1 O] and `commands` [n L A] belong together; `elsewhen` [n L O] is what the same
    episode showed at another time; the row after a row is another episode's.
    """

    values: Tensor
    commands: Tensor
    elsewhen: Tensor

    def incompatible(self, kind: str) -> tuple[Tensor, Tensor]:
        """Return sensors and commands of pairs that do not belong together, in one way.

        `shuffled`: the future of another episode; `wrong_time`: of the same episode, at another
        time; `other_commands`: the true future, but under the commands of another episode.
        """
        first, after = self.values[:, :1], self.values[:, 1:]
        if kind == "other_commands":
            return self.values, self.commands.roll(1, dims=0)
        future = after.roll(1, dims=0) if kind == "shuffled" else self.elsewhen
        return torch.cat((first, future), dim=1), self.commands


def explored(settings: Explorer.Config, world: Any, count: int) -> Dataset:
    """Return `count` fresh episodes under random commands. Raises InputError if seeds run out."""
    if count > 100_000:
        raise InputError(f"energy --episodes: expected at most 100000, came {count}")
    config = settings.model_copy(update={"episodes": count})
    return Explorer(config, world, SEED).collect(lambda *_: None)


def pairs(data: Dataset, ticks: int) -> Pairs:
    """Return one window of `ticks` per episode, and another of it at least as many ticks away.

    Raises InputError if episodes are too short.
    """
    room = data.ticks - 2 * ticks
    if room < 1:
        raise InputError(
            f"energy: expected episodes of more than {2 * ticks} ticks, came {data.ticks};"
            f" raise train.explore.ticks"
        )
    generator = torch.Generator().manual_seed(SEED)
    n, every = len(data), torch.arange(ticks + 1)
    start = torch.randint(room, (n, 1), generator=generator)
    later = start + ticks + torch.randint(room, (n, 1), generator=generator) % (room - start)
    rows = torch.arange(n)[:, None]
    here = start + every
    return Pairs(
        data.values[rows, here],
        data.commands[rows, here[:, :-1]],
        data.values[rows, later + every[1:]],
    )


@torch.no_grad()
def energy(mind: Mind, values: Tensor, commands: Tensor, temperature: float) -> Tensor:
    """Return F [n] of sensors [n L+1 O] under commands [n L A]: the mean over ticks."""
    latents = mind.perception.encode(values)
    return energies(mind.world_model, latents, commands, temperature).mean(dim=1)


@dataclass(frozen=True, slots=True)
class Surface:
    """F of one present and many next sensors, two components of one sensor swept on a grid.

    `first` [G], `second` [G], `energy` [G G] (second, first); `true`, what came, and `before`.
    """

    name: str
    unit: str
    first: Tensor
    second: Tensor
    energy: Tensor
    true: tuple[float, float]
    before: tuple[float, float]


def surfaces(mind: Mind, data: Dataset, temperature: float, grid: int = 41) -> list[Surface]:
    """Return the surface of every sensor of two components, around the most open present.

    That is the moment whose next tick the draws of z agree on least; the first one, without z.
    """
    flat, moves = data.values[:, :-1].flatten(0, 1), data.commands.flatten(0, 1)
    open_ = mind.world_model.forecast(mind.perception.encode(flat), moves).z_spread
    at = int(open_.argmax())
    now, move = flat[at], moves[at]
    after = data.values[at // data.ticks, at % data.ticks + 1]
    found = []
    for channel, where in mind.site.sensors.slices():
        if channel.size != 2:
            continue
        seen, middle = data.values[..., where].flatten(0, 1), now[where]
        quarter = 0.25 * (seen.amax(dim=0) - seen.amin(dim=0))
        span = torch.maximum(1.2 * (after[where] - middle).abs(), quarter)
        low, high = (middle - span).tolist(), (middle + span).tolist()
        axes = [torch.linspace(a, b, grid) for a, b in zip(low, high, strict=True)]
        second, first = torch.meshgrid(axes[1], axes[0], indexing="ij")
        tried = after.repeat(grid * grid, 1)
        tried[:, where] = torch.stack((first.flatten(), second.flatten()), dim=1)
        values = torch.stack((now.expand_as(tried), tried), dim=1)
        height = energy(mind, values, move.expand(len(tried), 1, -1), temperature)
        came, start = after[where].tolist(), now[where].tolist()
        found.append(
            Surface(
                name=channel.name,
                unit=channel.unit,
                first=axes[0],
                second=axes[1],
                energy=height.view(grid, grid),
                true=(came[0], came[1]),
                before=(start[0], start[1]),
            )
        )
    return found


def horizons(longest: int) -> list[int]:
    """Return how many ticks ahead are looked at: one, some, and as far as plans look."""
    return sorted({1, max(1, math.isqrt(longest)), longest})
