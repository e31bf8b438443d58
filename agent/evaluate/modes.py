"""Lives in which what thinking took is counted: candidates judged, and processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.config.build import Mind
from agent.core.messages import Action, Mode, Plan
from agent.evaluate.episodes import trials_of


@dataclass(frozen=True, slots=True)
class Spent:
    """What happened in episodes, and what they took, each [N].

    `ticks` until the goal was reached and held, or time was over; `thought`, those in which the
    agent deliberated, and `carried`, those in which it looked at no plan; `evaluations`, candidate
    plans judged; `plan_s` and `tick_s`, seconds of processor time of the actor and of whole ticks,
    the world's own left out.
    """

    reached: NDArray[np.bool_]
    ticks: NDArray[np.int64]
    thought: NDArray[np.int64]
    carried: NDArray[np.int64]
    evaluations: NDArray[np.int64]
    plan_s: NDArray[np.float64]
    tick_s: NDArray[np.float64]

    def __add__(self, other: Spent) -> Spent:
        """Return both lots of episodes."""
        names = self.__dataclass_fields__
        return Spent(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def __getitem__(self, cut: slice) -> Spent:
        """Return some of the episodes."""
        return Spent(*(getattr(self, n)[cut] for n in self.__dataclass_fields__))


class Timed:
    """Stands before a module and counts the processor time of its ticks."""

    def __init__(self, real: Any) -> None:
        """Stand before `real`."""
        self._real, self.spent_s = real, 0.0

    def __getattr__(self, name: str) -> Any:
        """Return the real one's."""
        return getattr(self._real, name)

    def tick(self, inbox: Any) -> Any:
        """Return the real one's message."""
        begin = time.process_time()
        try:
            return self._real.tick(inbox)
        finally:
            self.spent_s += time.process_time() - begin


def spend(
    mind: Mind, seeds: Sequence[int], ticks: int, said: Callable[[str], None] = lambda _: None
) -> Spent:
    """Live one episode per seed, one after another, each until its goal is reached and held."""
    world = mind.blueprint.world(1)
    rows = []
    try:
        agent, trials = mind.agent(world), trials_of(world)
        actor = Timed(agent.modules["actor"])
        timed: dict[str, Any] = {**agent.modules, "actor": actor}
        agent.modules = timed
        for seed in seeds:
            task = trials.tasks([seed])
            scorer = trials.Scorer(world, task)
            agent.reset(task)
            observation = world.reset([seed])
            lived = thought = carried = evaluations = 0
            actor.spent_s, whole = 0.0, 0.0
            while lived < ticks and not scorer.done.all():
                begin = time.process_time()
                tick = agent.tick(observation)
                whole += time.process_time() - begin
                observation = world.step(tick.messages[Action])
                scorer.look()
                plan = tick.messages.get(Plan)
                lived += 1
                if plan is not None:
                    thought += int(plan.mode[0]) == Mode.DELIBERATE
                    carried += plan.evaluations == 0
                    evaluations += plan.evaluations
            done, counts = scorer.done[0], (lived, thought, carried, evaluations)
            rows.append((done, *counts, actor.spent_s, whole))
    finally:
        world.close()
    found = Spent(*(np.array(column) for column in zip(*rows, strict=True)))
    share = found.thought.sum() / found.ticks.sum()
    said(f"{found.reached.mean():.1%} of goals reached, {share:.1%} of ticks thought")
    return found
