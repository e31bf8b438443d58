"""Living episodes to be measured: an agent, and the true-simulator planner."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.config.build import Blueprint, Mind
from agent.core.errors import InputError
from agent.core.loop import Tick, live
from agent.core.messages import Plan, Ruling, Task, Verdict
from agent.evaluate.goals import asked
from worlds.oracle import Oracle, expect_branches

Watcher = Callable[[Tick], None]
Goal = Sequence[float] | None
ORACLE_BATCH = 8
"""Oracle episodes lived together; a batch ends when all of its goals are reached."""


@dataclass(slots=True)
class Outcome:
    """What happened in episodes, one entry each, and how the gate ruled over all ticks.

    `more` are figures of a world's own, by name; `counted` is False where the world never said
    what breaks a limit, so that no violations are no news, and `judged` where it never said whether
    what was asked is done.
    """

    reached: NDArray[np.bool_]
    contacts: NDArray[np.int64]
    speeding: NDArray[np.int64]
    closest_m: NDArray[np.float64]
    reach_tick: NDArray[np.int64]
    ticks: int
    rulings: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, dtype=np.int64))
    refused: int = 0
    terms: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    faults: list[str] = field(default_factory=list)
    more: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    counted: bool = True
    judged: bool = True

    def __add__(self, other: Outcome) -> Outcome:
        """Return both outcomes' episodes together; what only one was told, of the other is 0."""
        fields = ("reached", "contacts", "speeding", "closest_m", "reach_tick")
        mine, yours = self.ticks, other.ticks
        terms = (self.terms * mine + other.terms * yours) / max(mine + yours, 1)
        return Outcome(
            **{f: np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields},
            ticks=mine + yours,
            rulings=self.rulings + other.rulings,
            refused=self.refused + other.refused,
            terms=terms,
            faults=self.faults + other.faults,
            more={
                k: np.concatenate([o.more.get(k, np.zeros(len(o.reached))) for o in (self, other)])
                for k in {**self.more, **other.more}
            },
            counted=self.counted or other.counted,
            judged=self.judged or other.judged,
        )


def trials_of(world: Any) -> Any:
    """Return what sets a world's tasks and scores its episodes: a module, or what stands for one.

    A world names the module; one whose settings decide what is asked offers it ready.
    """
    trials = world.trials
    return importlib.import_module(trials) if isinstance(trials, str) else trials


def tasks_of(world: Any, seeds: Sequence[int], goal: Goal = None) -> Task:
    """Return what is asked in the episodes with these seeds: `goal` of all, or the world's own.

    Raises InputError if `goal` has another size than the world's own.
    """
    asked: Task = trials_of(world).tasks(seeds)
    if goal is None:
        return asked
    size = asked.goal.shape[1]
    if len(goal) != size:
        raise InputError(f"run.goal: expected {size} numbers, came {len(goal)}: {list(goal)}")
    return Task(torch.tensor([list(goal)] * len(seeds), dtype=torch.float32))


def episodes(
    mind: Mind,
    world: Any,
    seeds: Sequence[int],
    ticks: int,
    watch: Watcher | None = None,
    until_done: bool = False,
    deadline: bool = False,
    goal: Goal = None,
) -> Outcome:
    """Live one episode per seed in lock-step and return what truly happened.

    `until_done` stops when every goal has been reached; `deadline` puts the gate's into force;
    `goal` is asked of all in place of what the world asks of a seed.
    Raises InputError if the world sets other goals than the agent's config names.
    """
    trials = trials_of(world)
    task = tasks_of(world, seeds, goal)
    if task.goal.shape[1] != mind.site.goal.size:
        raise InputError(
            f"goal: expected goals of {mind.site.goal.size} numbers"
            f" ({mind.site.goal.describe() or 'none is named'}), the world sets goals of"
            f" {task.goal.shape[1]}; name the sensor that they are about, or none"
        )
    scorer = trials.Scorer(world, task)
    task = asked(mind, trials, seeds, task)
    agent = mind.agent(world, deadline)
    rulings = np.zeros(3, dtype=np.int64)
    refused, lived = 0, 0
    faults: list[str] = []
    sums = np.zeros(len(mind.site.terms))
    for tick in live(agent, world, seeds, task, ticks):
        scorer.look()
        verdict, plan = tick.messages[Verdict], tick.messages.get(Plan)
        rulings += np.bincount(verdict.ruling.numpy(), minlength=len(Ruling))[:3]
        if plan is not None:
            refused += int((plan.temptation_violation > 0).sum())
            sums += plan.terms.sum(dim=(0, 2)).double().numpy()
        faults += tick.faults
        lived += len(seeds)
        if watch is not None:
            watch(tick)
        if until_done and scorer.done.all():
            break
    own = {"rulings": rulings, "refused": refused, "faults": faults}
    return outcome_of(scorer.score(), lived, **own, terms=sums / max(lived, 1))


def referable(blueprint: Blueprint) -> None:
    """Raise InputError if the true simulator cannot stand in for this agent's world model.

    It has no gradients, and a world must be one whose futures can be simulated.
    """
    blueprint.in_one_process(
        "the true-simulator planner", "run.reference=false or eval.oracle_episodes=0"
    )
    kind = blueprint.singles["world"].kind
    expect_branches(kind if isinstance(kind, type) else type(kind))
    actor = blueprint.singles["actor"]
    if getattr(actor.kind, "descends", False):
        raise InputError(
            f"oracle: expected an actor that can plan through the true simulator, which has no"
            f" gradients, came {actor.use}; set eval.oracle_episodes=0 and run.reference=false"
        )


def oracle(
    blueprint: Blueprint, tensors: Any, seeds: Sequence[int], ticks: int, goal: Goal = None
) -> Outcome:
    """Live episodes with the true simulator in the world model's place; all else is the agent's.

    Episodes end when their goals are reached, since simulating every candidate is slow, or where
    they are paid for, with `ticks`. Raises InputError as `referable` does.
    """
    referable(blueprint)
    whole: Outcome | None = None
    for start in range(0, len(seeds), ORACLE_BATCH):
        some = seeds[start : start + ORACLE_BATCH]
        world = blueprint.world(len(some))

        def truth(_: Any, perception: Any, world: Any = world) -> Oracle:
            return Oracle(world, perception)

        try:
            mind = blueprint.assemble(tensors, truth)
            paid = hasattr(world, "aside")
            found = episodes(mind, world, some, ticks, until_done=not paid, goal=goal)
        finally:
            world.close()
        whole = found if whole is None else whole + found
    assert whole is not None, "no seeds given"
    return whole


def latency(
    mind: Mind, world: Any, seeds: Sequence[int], ticks: int
) -> tuple[list[float], list[float], int]:
    """Return milliseconds of every tick and of its plan at B=1 with the deadline on, and misses.

    The first three ticks of the first episode, when caches are cold, are left out.
    """
    whole: list[float] = []
    plans: list[float] = []
    late: list[bool] = []

    def watch(tick: Tick) -> None:
        whole.append(sum(tick.elapsed_ms.values()))
        plans.append(tick.elapsed_ms["actor"])
        late.append(any(r.startswith("late") for r in tick.messages[Verdict].reasons))

    for seed in seeds:
        episodes(mind, world, [seed], ticks, watch, deadline=True)
    return whole[3:], plans[3:], sum(late[3:])


def outcome_of(score: Any, ticks: int, **agents: Any) -> Outcome:
    """Return what a scorer counted over so many ticks, and what else is known of an agent's own."""
    return Outcome(
        reached=score.reached,
        contacts=score.contacts,
        speeding=score.speeding,
        closest_m=score.closest_m,
        reach_tick=score.reach_tick,
        ticks=ticks,
        more=dict(getattr(score, "more", {})),
        counted=getattr(score, "counted", True),
        judged=getattr(score, "judged", True),
        **agents,
    )


__all__ = ["Outcome", "episodes", "latency", "oracle", "outcome_of", "trials_of"]
