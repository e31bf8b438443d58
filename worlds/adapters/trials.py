"""Evaluation of worlds that others made: what their environments say beside observations.

No agent sees reward, cost or success; terms in the config are what it wants. A goal is set only
where an environment shows one (`Asked`).
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.adapters.spaces import DESIRED
from worlds.scoring import Score

if TYPE_CHECKING:
    from worlds.adapters.gymnasium import Gymnasium

EVALUATION_SEEDS = 1_000_000


def tasks(seeds: Sequence[int]) -> Task:
    """Return the empty goals [B 0] of environments that say what they want by reward alone."""
    return Task(torch.zeros(len(seeds), 0))


class Scorer:
    """Listens to what environments say beside their observations; call `look` after every tick.

    `reached`: `info` said `is_success` (or `success`) at some tick in which the environment desired
    what `task` asks; what it says while it desires something else is no news. Not `judged` if none
    of the environments had the key in its `info` in such a tick so far. `contacts` are ticks with
    `info["cost"]` above 0, or not a number, counted if a cost was ever told. `more`: `return`, the
    sum of rewards, `cost`, the sum of costs, `survived`, 1 for an episode that the environment did
    not terminate, and `lived_ticks`, ticks before it ended the episode.
    """

    def __init__(self, world: Gymnasium, task: Task) -> None:
        """Score episodes of `world` against the goals of `task`, if there are any."""
        self._world, n = world, world.batch
        self._goal = task.goal.numpy()
        self._reach, self._contacts = np.full(n, -1), np.zeros(n, dtype=np.int64)
        self._paid, self._cost, self._lived = np.zeros(n), np.zeros(n), np.zeros(n)
        self._ended = np.zeros(n, dtype=np.bool_)
        self._asked = self._counted = False
        self._ticks = 0

    def look(self) -> None:
        """Take what was said of the last tick."""
        said = self._world.aside
        same = (said.desired == self._goal).all(axis=1)
        self._asked |= bool((said.asked & same).any())
        self._counted |= bool(said.costly.any())
        self._reach[said.success & same & (self._reach < 0)] = self._ticks
        self._contacts += ~(said.cost <= 0.0)
        self._paid += said.paid
        self._cost += said.cost
        self._lived += ~self._ended
        self._ended = said.terminated | said.truncated
        self._ticks += 1

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes are over for good, or did what was asked, [B]."""
        found: NDArray[np.bool_] = self._ended | (self._reach >= 0)
        return found

    def score(self) -> Score:
        """Return what happened so far."""
        alive = (~self._world.aside.terminated).astype(float)
        more = {"return": self._paid.copy(), "survived": alive, "lived_ticks": self._lived.copy()}
        if self._counted:
            more["cost"] = self._cost.copy()
        none = np.zeros(self._world.batch, dtype=np.int64)
        far = np.full(self._world.batch, np.inf)
        return Score(
            reached=self._reach >= 0,
            reach_tick=self._reach.copy(),
            contacts=self._contacts.copy(),
            speeding=none,
            closest_m=far,
            counted=self._counted,
            judged=self._asked,
            more=more,
        )


class Asked:
    """What a multi-goal environment asks, and how it is scored: stands where others have a module.

    Source: Plappert et al. (2018), Multi-Goal Reinforcement Learning, section 2.
    """

    EVALUATION_SEEDS = EVALUATION_SEEDS
    Scorer = Scorer

    def __init__(self, made: Callable[[], Any]) -> None:
        """Ask of copies of the environment that `made` returns."""
        self._made = made

    def tasks(self, seeds: Sequence[int]) -> Task:
        """Return what is desired at the start of the episodes with these seeds, [B G]."""
        env = self._made()
        try:
            goals = [np.ravel(env.reset(seed=int(seed))[0][DESIRED]) for seed in seeds]
        finally:
            env.close()
        return Task(torch.from_numpy(np.array(goals, dtype=np.float32)))


__all__ = ["EVALUATION_SEEDS", "Asked", "Score", "Scorer", "tasks"]
