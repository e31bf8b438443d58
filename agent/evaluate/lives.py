"""Lives in a world that changes: one agent, episode after episode, phase after phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.config.build import Blueprint, Mind, Tensors
from agent.core.loop import Agent, live
from agent.core.messages import Forecast, Percept
from agent.evaluate.episodes import trials_of
from agent.evaluate.goals import asked


@dataclass(frozen=True, slots=True)
class Phase:
    """So many `episodes` in the world of this `blueprint`, called `name`."""

    name: str
    blueprint: Blueprint
    episodes: int


@dataclass(frozen=True, slots=True)
class Lives:
    """What happened, by life and episode, each [N P]: phases stand one after the other.

    `reached` and `harmed` (any contact or speeding) are the scorer's; `error` is the rms error of
    one-tick forecasts in latents; `surprise` the 99 % quantile over the episode's ticks of what the
    world model itself calls surprise (0 where it does not); `ticks` how long the episode took.
    """

    reached: NDArray[np.bool_]
    harmed: NDArray[np.bool_]
    error: NDArray[np.float64]
    surprise: NDArray[np.float64]
    ticks: NDArray[np.int64]

    def __add__(self, other: Lives) -> Lives:
        """Return both lots of lives."""
        fields = ("reached", "harmed", "error", "surprise", "ticks")
        return Lives(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields))


def lead(
    phases: Sequence[Phase],
    tensors: Tensors,
    seeds: Sequence[int],
    ticks: int,
    said: Callable[[str], None] = lambda _: None,
) -> Lives:
    """Return one life per seed through all `phases`, each with a mind of its own, from `tensors`.

    Life i starts its episodes from `seeds[i]`, `seeds[i]` + len(seeds) and so on. An episode ends
    when its goal has been reached and held, at the latest after `ticks`.
    """
    found: Lives | None = None
    for count, seed in enumerate(seeds, start=1):
        one = _led(phases[0].blueprint.assemble(tensors), phases, seed, len(seeds), ticks)
        found = one if found is None else found + one
        said(f"{count}/{len(seeds)} lives, {found.reached.mean():.1%} of goals reached")
    assert found is not None, "no seeds given"
    return found


def _led(mind: Mind, phases: Sequence[Phase], seed: int, stride: int, ticks: int) -> Lives:
    agent, episodes = None, []
    for phase in phases:
        world = phase.blueprint.world(1)
        try:
            agent = agent or mind.agent(world)
            for _ in range(phase.episodes):
                episodes.append(_episode(mind, agent, world, seed, ticks))
                seed += stride
        finally:
            world.close()
    return Lives(*(np.array([column]) for column in zip(*episodes, strict=True)))


def _episode(
    mind: Mind, agent: Agent, world: Any, seed: int, ticks: int
) -> tuple[bool, bool, float, float, int]:
    trials = trials_of(world)
    task = asked(mind, trials, [seed])
    scorer = trials.Scorer(world, trials.tasks([seed]))
    errors, surprises, last = [], [], None
    for tick in live(agent, world, [seed], task, ticks):
        scorer.look()
        percept = tick.messages[Percept]
        if last is not None:
            errors.append(float((percept.latent - last.latent).square().sum()))
        last = tick.messages[Forecast]
        surprises.append(_surprise(mind))
        if scorer.done.all():
            break
    score = scorer.score()
    harmed = bool((score.contacts > 0) | (score.speeding > 0))
    error, high = float(np.mean(errors)) ** 0.5, float(np.quantile(surprises, 0.99))
    return bool(score.reached), harmed, error, high, score.ticks


def _surprise(mind: Mind) -> float:
    own = getattr(mind.world_model, "surprise", None)
    return float(own()) if own is not None else 0.0
