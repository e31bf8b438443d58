"""Lives in a world that changes: one agent, episode after episode, phase after phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.config.build import Blueprint, Mind, Tensors
from agent.core.loop import Agent, live
from agent.core.messages import Appraisal, Forecast, Mode, Percept, Plan
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
    world model itself calls surprise (0 where it does not); `ticks` how long the episode took;
    `energy` what was paid over the episode, by all terms, without the critic's anticipation, whose
    rms error from one tick to the next is `doubt` (0 without a discount); `thought` the share of
    ticks deliberated.
    """

    reached: NDArray[np.bool_]
    harmed: NDArray[np.bool_]
    error: NDArray[np.float64]
    surprise: NDArray[np.float64]
    ticks: NDArray[np.int64]
    energy: NDArray[np.float64]
    doubt: NDArray[np.float64]
    thought: NDArray[np.float64]

    def __add__(self, other: Lives) -> Lives:
        """Return both lots of lives."""
        names = [f.name for f in fields(self)]
        return Lives(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))


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
        one = lived(phases[0].blueprint.assemble(tensors), phases, seed, len(seeds), ticks)
        found = one if found is None else found + one
        said(f"{count}/{len(seeds)} lives, {found.reached.mean():.1%} of goals reached")
    assert found is not None, "no seeds given"
    return found


def lived(mind: Mind, phases: Sequence[Phase], seed: int, stride: int, ticks: int) -> Lives:
    """Return one life of `mind`, as a row; episodes start from `seed`, `seed` + `stride` and so on.

    An episode ends as in `lead`.
    """
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


def _episode(mind: Mind, agent: Agent, world: Any, seed: int, ticks: int) -> tuple[Any, ...]:
    trials = trials_of(world)
    task = asked(mind, trials, [seed])
    scorer = trials.Scorer(world, trials.tasks([seed]))
    errors, surprises, said, thought, last = [], [], [], [], None
    for tick in live(agent, world, [seed], task, ticks):
        scorer.look()
        percept = tick.messages[Percept]
        if last is not None:
            errors.append(float((percept.latent - last.latent).square().sum()))
        last = tick.messages[Forecast]
        surprises.append(_surprise(mind))
        said.append(_said(tick.messages.get(Appraisal)))
        plan = tick.messages.get(Plan)
        thought.append(plan is not None and int(plan.mode[0]) == Mode.DELIBERATE)
        if scorer.done.all():
            break
    score = scorer.score()
    harmed = bool((score.contacts > 0) | (score.speeding > 0))
    error, high = float(np.mean(errors)) ** 0.5, float(np.quantile(surprises, 0.99))
    paid, felt, foreseen = np.array(said).T
    discount = getattr(getattr(mind.critic, "config", None), "discount", 0.0)
    missed = felt[1:] + discount * foreseen[1:] - foreseen[:-1] if discount else np.zeros(1)
    doubt = float(np.sqrt(np.mean(missed**2)))
    return (
        bool(score.reached), harmed, error, high, len(thought), float(paid.sum()), doubt,
        float(np.mean(thought)),
    )  # fmt: skip


def _said(now: Appraisal | None) -> tuple[float, float, float]:
    """Return energy without anticipation, its intrinsic part, and anticipation, of a tick."""
    if now is None:
        return 0.0, 0.0, 0.0
    return float(now.terms[0, :-1].sum()), float(now.intrinsic[0]), float(now.anticipation[0])


def _surprise(mind: Mind) -> float:
    own = getattr(mind.world_model, "surprise", None)
    return float(own()) if own is not None else 0.0
