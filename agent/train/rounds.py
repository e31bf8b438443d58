"""Exploring in rounds: what is learned from the rounds before says what to try next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from agent.core.messages import Action
from agent.core.protocols import World
from agent.train.dataset import Dataset
from agent.train.explore import TRAINING_SEEDS, Explorer, begun, explorer_batch, going, whole
from agent.train.progress import Figures, Ledger

Choice = Callable[[Any, Tensor, int, torch.Generator], Tensor]
"""Returns the next commands [B n A] of a mind, from sensor values [B O] and the tick's number."""

STATE = "explore_round"
"""Under which name the ledger keeps the rounds so far."""


def starts(config: Explorer.Config, batch: int) -> list[int]:
    """Return at which batch of episodes each round begins, and after which the last one ends."""
    total = math.ceil(config.episodes / batch)
    rounds = min(getattr(config, config.policy).rounds, total)
    return [round(total * r / rounds) for r in range(rounds + 1)]


class Rounds:
    """Explores in the rounds of the policy's settings; the first one is the explorer's `ou`.

    In the others `choose` says what to do, of what `learn` made of all experience so far. Rounds
    are kept in the ledger: an interrupted exploration goes on after the last whole one.
    """

    def __init__(
        self,
        config: Explorer.Config,
        world: World,
        learn: Callable[[Dataset, int], Any],
        choose: Choice,
        seed: int = 0,
    ) -> None:
        """Explore `world`; episode i starts from seed `seed` + i.

        `learn(dataset, round)` returns a mind that has seen all experience so far.
        """
        self.config, self.world, self.learn, self.seed = config, world, learn, seed
        self._choose = choose

    def collect(self, ledger: Ledger) -> Dataset:
        """Return `episodes` episodes."""
        config, batch = self.config, self.world.batch
        begins = starts(config, batch)
        kept = ledger.load(STATE)
        if kept is None:
            plain = {"policy": "ou", "episodes": begins[1] * batch}
            first = Explorer(config.model_copy(update=plain), self.world, self.seed)
            found = first.collect(lambda done, _: ledger.log("explore", done, begins[-1], {}))
        else:
            found = Dataset.from_tensors(kept[0])
        for index in range(begins.index(len(found) // batch), len(begins) - 1):
            mind = self.learn(found, index)
            for number in range(begins[index], begins[index + 1]):
                lived = self._batch(number, mind)
                found = begun(found + lived, self.world.sensors)
                ledger.log("explore", number + 1, begins[-1], taught(lived, self.world))
            ledger.save(STATE, found.tensors(), {"rounds": float(index + 1)})
        return found.only(slice(config.episodes))

    @torch.no_grad()
    def _batch(self, index: int, mind: Any) -> Dataset:
        world, first = self.world, self.seed + index * self.world.batch
        assert first + world.batch <= TRAINING_SEEDS, "training must not use evaluation seeds"
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        values = [whole(world.reset(range(first, first + world.batch)), world.sensors)]
        commands, ages = list[Tensor](), torch.zeros(world.batch, dtype=torch.long)
        while len(commands) < self.config.ticks:
            if bool(going(world).any()):  # else nobody minds the last one again
                plan = self._choose(mind, values[-1], len(commands), generator)
            for move in plan.unbind(dim=1)[: self.config.ticks - len(commands)]:
                ages += going(world)
                values.append(whole(world.step(Action(move.contiguous())), world.sensors))
                commands.append(move)
        return Dataset.lived_by(values, commands, ages)


def taught(dataset: Dataset, world: Any) -> Figures:
    """Return the mean a tick of what sensors show in training alone: what a benchmark charged.

    Ticks after an episode's end count, too: nothing is charged there.
    """
    return {
        channel.name: float(dataset.values[:, 1:, where].mean())
        for channel, where in world.sensors.scalars.slices()
        if channel.taught
    }


def curve(config: Explorer.Config, dataset: Dataset, world: Any) -> Figures:
    """Return by round what `taught` says of its episodes, and transitions up to its end."""
    if config.policy not in ("curiosity", "acting"):
        return {}
    batch, figures = explorer_batch(config), Figures()
    begins = starts(config, batch)
    for index, (begin, end) in enumerate(itertools.pairwise(begins), start=1):
        cut = slice(begin * batch, end * batch)
        told = taught(dataset.only(cut), world)
        figures |= {f"{name}.{index}": value for name, value in told.items()}
        figures[f"transitions.{index}"] = float(dataset.only(slice(end * batch)).transitions)
    return figures
