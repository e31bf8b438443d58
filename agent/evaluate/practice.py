"""Lives of an agent that practises: the same few goals over and over, others, and those again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.config.build import Mind
from agent.core.loop import Agent, live
from agent.core.messages import Mode, Plan
from agent.evaluate.episodes import trials_of

Episode = tuple[int, int]
"""The seeds of an episode: of where it starts, and of its goal."""


@dataclass(frozen=True, slots=True)
class Practised:
    """What happened, by life and episode, each [N P].

    `thought` is the share of the ticks in which the agent deliberated, `reached` and `harmed` (any
    contact or speeding) are the scorer's, `ticks` how long the episode took.
    """

    thought: NDArray[np.float64]
    reached: NDArray[np.bool_]
    harmed: NDArray[np.bool_]
    ticks: NDArray[np.int64]

    def __add__(self, other: Practised) -> Practised:
        """Return both lots of lives."""
        fields = ("thought", "reached", "harmed", "ticks")
        return Practised(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields))


def course(seed: int, goals: int, rounds: int, elsewhere: int, back: int) -> list[Episode]:
    """Return a life from `seed` on: `rounds` through `goals` goals, other goals, `back` rounds.

    Every episode starts somewhere else; the goals of `elsewhere` episodes come once only.
    """
    homes, start = range(seed, seed + goals), seed + goals
    familiar = [*homes] * rounds
    unfamiliar = list(range(start, start + elsewhere))
    aims = [*familiar, *unfamiliar, *([*homes] * back)]
    return [(start + index, aim) for index, aim in enumerate(aims)]


def practise(
    mind: Mind,
    life: Sequence[Episode],
    ticks: int,
    said: Callable[[str], None] = lambda _: None,
) -> Practised:
    """Return one life of `mind`, episode after episode, as a row.

    An episode ends when its goal has been reached and held, at the latest after `ticks`.
    """
    world = mind.blueprint.world(1)
    try:
        agent = mind.agent(world)
        rows = [_episode(agent, world, *seeds, ticks) for seeds in life]
    finally:
        world.close()
    found = Practised(*(np.array([column]) for column in zip(*rows, strict=True)))
    said(
        f"{found.reached.mean():.1%} of goals reached, {found.thought.mean():.1%} of ticks thought"
    )
    return found


def _episode(
    agent: Agent, world: Any, start: int, aim: int, ticks: int
) -> tuple[float, bool, bool, int]:
    trials = trials_of(world)
    task = trials.tasks([aim])
    scorer = trials.Scorer(world, task)
    thought = []
    for tick in live(agent, world, [start], task, ticks):
        scorer.look()
        plan = tick.messages.get(Plan)
        thought.append(plan is not None and int(plan.mode[0]) == Mode.DELIBERATE)
        if scorer.done.all():
            break
    score = scorer.score()
    harmed = bool((score.contacts > 0) | (score.speeding > 0))
    return float(np.mean(thought)), bool(score.reached[0]), harmed, len(thought)
