"""Trying things out: random commands in a world."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Action, Observation
from agent.core.noise import coloured, ornstein_uhlenbeck
from agent.core.protocols import World
from agent.core.settings import Settings
from agent.core.spec import Layout
from agent.train.dataset import Dataset, joined
from agent.train.images import Album
from agent.train.lookahead import Lookahead

TRAINING_SEEDS = 1_000_000
"""Seeds from here on belong to evaluation; nothing learns from them."""


BATCH = 64


def explorer_batch(config: Explorer.Config) -> int:
    """Return how many copies of the world exploration uses.

    No more than it has episodes; who acts on what was learned has some in every round.
    """
    rounds = config.acting.rounds if config.policy == "acting" else 1
    return min(BATCH, math.ceil(config.episodes / rounds))


def whole(observation: Observation, sensors: Layout) -> Tensor:
    """Return the values [B O] of an observation that misses nothing.

    Raises InputError if a sensor was not valid: what it reads then would be learned as if true.
    """
    if not bool(observation.valid.all()):
        lost = int((~observation.valid).any(dim=0).nonzero()[0])
        raise InputError(
            f"train: expected sensors that are always valid, but '{sensors.names[lost]}' dropped"
            f" out; train with world.dropout=0 and let them drop out afterwards"
        )
    return observation.values


class Curiosity(Settings):
    """How `curiosity` explores: in `rounds`, the first of which is `ou`.

    Before each of the others a world model takes `steps` on all experience so far. Every `commit`
    ticks, `candidates` sequences of `horizon` ticks are imagined.
    """

    rounds: int = Field(default=5, ge=2)
    steps: int = Field(default=1500, ge=1)
    candidates: int = Field(default=64, ge=1)
    horizon: int = Field(default=12, ge=1)
    commit: int = Field(default=6, ge=1)


class Acting(Settings):
    """How `acting` explores: in `rounds`, the first of which is `ou`.

    Before each of the others world model and readouts take `steps` each on all experience so far.
    The planner then acts on them, at every tick anew, and noise is added to its commands, of
    deviation `noise` in units of half the actuator range. `weights` scale terms meanwhile, by name,
    as `configurator.weights` does later: who is to find out better not mind what it is unsure of.
    """

    rounds: int = Field(default=4, ge=2)
    steps: int = Field(default=1000, ge=1)
    noise: float = Field(default=0.2, ge=0)
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    lookahead: Lookahead = Lookahead()


def going(world: World) -> Tensor:
    """Return which episodes of a world have not ended [B]."""
    over = getattr(world, "over", None)
    return torch.ones(world.batch, dtype=torch.bool) if over is None else ~torch.from_numpy(over)


def begun(dataset: Dataset, sensors: Layout) -> Dataset:
    """Return episodes that show at their start what is paid in their first tick, if any ended.

    Nothing has been paid there yet. Learned as a charge of 0 that would make starts look as bad as
    ends where lives are short and living is paid for; among many ticks it is one label.
    """
    if dataset.lived is None:
        return dataset
    values = dataset.values.clone()
    for channel, where in sensors.scalars.slices():
        if channel.taught:
            values[:, 0, where] = values[:, 1, where]
    return replace(dataset, values=values)


class Explorer:
    """Drives a world with random commands, clipped to the actuators' limits."""

    class Config(Settings):
        """Episodes and their length, and the `policy` that makes their commands.

        `ou`: an Ornstein-Uhlenbeck process with this correlation time; `coloured`: noise whose
        power falls as 1/f^`exponent`. Both with `deviation` in units of half the actuator range, of
        which each episode draws its own share (0.2 to 1), so that slow and fast motions are both
        seen. `random`: uniform within the limits at every tick. In rounds, `curiosity` and
        `acting`: see `Curious` and `Acts`.
        """

        episodes: int = Field(default=640, ge=1)
        ticks: int = Field(default=96, ge=1)
        correlation_s: float = Field(default=0.5, gt=0)
        deviation: float = Field(default=0.45, gt=0)
        policy: Literal["ou", "coloured", "random", "curiosity", "acting"] = "ou"
        exponent: float = Field(default=2.0, ge=0, le=4)
        curiosity: Curiosity = Curiosity()
        acting: Acting = Acting()

    def __init__(
        self,
        config: Config,
        world: World,
        seed: int = 0,
        hold: Callable[[Observation], Tensor] | None = None,
    ) -> None:
        """Explore `world`; episode i starts from seed `seed` + i.

        `hold` says what to remember of an observation that misses something; without it, such an
        observation is refused.
        """
        self.config, self.world, self.seed = config, world, seed
        self._seen = hold or (lambda observation: whole(observation, world.sensors))

    def collect(self, log: Callable[[int, int], None], images: Path | None = None) -> Dataset:
        """Return `episodes` episodes; `log(done, total)` is called after each batch of them.

        What image sensors show is put into the file `images`, or kept in memory without one.
        """
        episodes, sensors = self.config.episodes, self.world.sensors
        pixels = sensors.size - sensors.scalars.size
        album = Album(images, episodes, self.config.ticks, pixels) if pixels else None
        batches = math.ceil(episodes / self.world.batch)
        parts = []
        for index in range(batches):
            parts.append(self._batch(index, album))
            log(index + 1, batches)
        found = begun(joined(parts).only(slice(episodes)), sensors)
        return replace(found, images=album.close()) if album else found

    def _batch(self, index: int, album: Album | None) -> Dataset:
        """Return a batch of episodes by scalar sensors; images go into the album."""
        world, offset = self.world, index * self.world.batch
        first, scalars = self.seed + offset, world.sensors.scalars.size
        assert first + world.batch <= TRAINING_SEEDS, "training must not use evaluation seeds"
        commands = self.commands(index)
        values, ages = [], torch.zeros(world.batch, dtype=torch.long)
        for tick in range(self.config.ticks + 1):
            if tick:
                ages += going(world)
                seen = world.step(Action(commands[:, tick - 1]))
            else:
                seen = world.reset(range(first, first + world.batch))
            shown = self._seen(seen)
            values.append(shown[:, :scalars])
            if album is not None:
                album.put(offset, tick, shown[:, scalars:])
        return Dataset.lived_by(values, commands.unbind(dim=1), ages)

    def commands(self, index: int) -> Tensor:
        """Return the random commands of batch `index`, [B T A] in actuator units."""
        config, batch = self.config, self.world.batch
        low, high = self.world.actuators.bounds()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        shape = config.ticks, batch, len(low)
        if config.policy == "random":
            wide = torch.rand(*shape, generator=generator)
            return (low + (high - low) * wide).transpose(0, 1).contiguous()
        if config.policy == "coloured":
            noise = coloured(shape, config.exponent, generator)
        else:
            keep = math.exp(-1.0 / (config.correlation_s * self.world.rate_hz))
            noise = ornstein_uhlenbeck(shape, keep, generator)
        share = 0.2 + 0.8 * torch.rand(batch, 1, generator=generator)
        moves = (low + high) / 2 + noise * share * config.deviation * (high - low) / 2
        return moves.clamp(low, high).transpose(0, 1).contiguous()
