"""Trying out what is not yet understood: commands whose outcome the ensemble disagrees about.

Source: Pathak, Gandhi, Gupta (2019), exploration via disagreement; Sekar et al. (2020),
Plan2Explore, for planning towards it in a learned model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from agent.core.messages import Action, Rollout
from agent.core.noise import ornstein_uhlenbeck
from agent.core.protocols import World
from agent.train.dataset import Dataset
from agent.train.explore import TRAINING_SEEDS, Explorer, whole


class Imagination(Protocol):
    """What curiosity needs of a mind."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]."""
        ...

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        """Return the futures of `actions` [B K H A] from `state` [B Z]."""
        ...


class Curious:
    """Explores in rounds: what is learned from the rounds before says where to go next.

    The first round is the explorer's `ou`. In the others, of `candidates` random sequences the one
    whose imagined latents differ most between ensemble members is carried out for `commit` ticks.
    """

    def __init__(
        self,
        config: Explorer.Config,
        world: World,
        learn: Callable[[Dataset, int], Imagination],
        seed: int = 0,
    ) -> None:
        """Explore `world`; episode i starts from seed `seed` + i.

        `learn(dataset, round)` returns a model of all experience so far.
        """
        self.config, self.world, self.learn, self.seed = config, world, learn, seed

    def collect(self, log: Callable[[int, int], None]) -> Dataset:
        """Return `episodes` episodes; `log(done, total)` is called after each batch of them."""
        config, batch = self.config, self.world.batch
        total = math.ceil(config.episodes / batch)
        rounds = min(config.curiosity.rounds, total)
        starts = [round(total * r / rounds) for r in range(rounds + 1)]
        plain = {"policy": "ou", "episodes": starts[1] * batch}
        first = Explorer(config.model_copy(update=plain), self.world, self.seed)
        parts = [first.collect(lambda done, _: log(done, total))]
        for index in range(1, rounds):
            model = self.learn(joined(parts), index)
            for number in range(starts[index], starts[index + 1]):
                parts.append(self._batch(number, model))
                log(number + 1, total)
        found = joined(parts)
        return Dataset(found.values[: config.episodes], found.commands[: config.episodes])

    @torch.no_grad()
    def _batch(self, index: int, model: Imagination) -> Dataset:
        world, first = self.world, self.seed + index * self.world.batch
        assert first + world.batch <= TRAINING_SEEDS, "training must not use evaluation seeds"
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        values = [whole(world.reset(range(first, first + world.batch)), world.sensors)]
        commands: list[Tensor] = []
        while len(commands) < self.config.ticks:
            plan = self._most_disputed(model, model.encode(values[-1]), generator)
            for move in plan.unbind(dim=1)[: self.config.ticks - len(commands)]:
                values.append(whole(world.step(Action(move.contiguous())), world.sensors))
                commands.append(move)
        return Dataset(torch.stack(values, dim=1), torch.stack(commands, dim=1))

    def _most_disputed(
        self, model: Imagination, state: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the commands [B commit A] whose outcomes the members agree about least."""
        config, curious = self.config, self.config.curiosity
        low, high = self.world.actuators.bounds()
        keep = math.exp(-1.0 / (config.correlation_s * self.world.rate_hz))
        shape = curious.horizon, len(state) * curious.candidates, len(low)
        noise = ornstein_uhlenbeck(shape, keep, generator).transpose(0, 1)
        moves = (low + high) / 2 + noise * config.deviation * (high - low) / 2
        moves = moves.clamp(low, high).reshape(len(state), curious.candidates, *moves.shape[1:])
        spread = model.imagine(state, moves).latents.var(dim=0).sum(dim=(-1, -2))
        chosen: Tensor = moves[torch.arange(len(state)), spread.argmax(dim=1)]
        return chosen[:, : curious.commit]


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return the episodes of all parts."""
    return sum(parts[1:], parts[0])
