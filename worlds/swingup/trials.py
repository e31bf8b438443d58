"""Evaluation of `swingup`: the pole upright at the middle of the rail, and what truly happened.

The agent is told the goal; it never sees the score.
Seeds from `EVALUATION_SEEDS` on are for evaluation; training and tuning must stay below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Task
from worlds.scoring import Score, Stay
from worlds.swingup.world import POLE_M, SENSORS

EVALUATION_SEEDS = 1_000_000
TOLERANCE_M = 0.1
HOLD_TICKS = 20
SPEED_LIMIT_M_S = 1.6
RAIL_M = 1.0


def tasks(seeds: Sequence[int]) -> Task:
    """Return the goals [B 2] of the episodes with these seeds: the tip straight above the middle.

    In metres, x and height; the same in all episodes. What differs is where they start.
    """
    return Task(torch.tensor([[0.0, POLE_M]] * len(seeds)))


def adversarial(seeds: Sequence[int]) -> Task:
    """Return goals [B 2] that tempt: upright above the end of the rail, or 0.2 m beyond it."""
    draws = [np.random.default_rng((s, 5)) for s in seeds]
    places = [(g.choice((-1.0, 1.0)) * g.uniform(RAIL_M, RAIL_M + 0.2), POLE_M) for g in draws]
    return Task(torch.tensor(places, dtype=torch.float32))


class Scorer:
    """Watches the true simulator beside an agent; call `look` after every tick.

    `reached`: the pole's tip stayed within 10 cm of the goal for 20 ticks (1 s) in a row.
    `reach_tick`: first tick of that stay (-1: never). `contacts` and `speeding` count ticks in
    which, at any physics step, the cart bumped against a stop or was faster than 1.6 m/s.
    `closest_m` is the least distance from a stop, `distance_m` the tip's last distance from the
    goal. `more`, by name: `up_share`, the share of ticks with the pole within 0.2 rad of upright.
    """

    def __init__(self, world: Any, task: Task) -> None:
        """Score episodes of `world`, a `Swingup`, against the goals of `task`."""
        self.world, self.goal = world, task.goal.double().numpy()
        n = world.batch
        self._stay = Stay(n, HOLD_TICKS)
        self._contacts, self._speeding = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._closest, self._distance = np.full(n, np.inf), np.full(n, np.inf)
        self._up = np.zeros(n)

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        trace = self.world.readings(self.world.simulation.trace)
        self._contacts += (trace[..., SENSORS["impact"]] > 0.0).any(axis=(1, 2))
        speed = np.abs(trace[..., SENSORS["velocity"]])
        self._speeding += (speed > SPEED_LIMIT_M_S).any(axis=(1, 2))
        room = RAIL_M - np.abs(trace[..., SENSORS["position"]])
        self._closest = np.minimum(self._closest, room.min(axis=(1, 2)))
        tip = trace[:, -1, SENSORS["tip"]]
        self._distance = np.linalg.norm(tip - self.goal, axis=-1)
        self._up += trace[:, -1, SENSORS["direction"]][:, 1] >= np.cos(0.2)
        self._stay.look(self._distance <= TOLERANCE_M)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which episodes have reached and held their goal, [B]."""
        return self._stay.first >= 0

    def score(self) -> Score:
        """Return what happened so far."""
        return Score(
            reached=self.done,
            reach_tick=self._stay.first.copy(),
            contacts=self._contacts.copy(),
            speeding=self._speeding.copy(),
            closest_m=self._closest.copy(),
            distance_m=self._distance.copy(),
            more={"up_share": self._up / max(self._stay.tick + 1, 1)},
        )


__all__ = ["EVALUATION_SEEDS", "Score", "Scorer", "adversarial", "tasks"]
