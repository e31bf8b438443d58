"""Why a goal was not reached: how near the agent came, and which guardrail forbids the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agent.cli.pages import Reader
from agent.cli.preflight import describe
from agent.config.build import Mind
from agent.core.loop import Tick
from agent.core.messages import Observation, Percept, Task


class Pursuit:
    """Watches one episode of one agent towards its goal; call `watch` with every tick.

    It looks through sensors and through the mind's own eyes only, never at scores.
    """

    def __init__(self, mind: Mind) -> None:
        """Watch an agent of `mind`."""
        self._mind, self._goal = mind, mind.site.goal
        self._lived: list[Tensor] = []
        self._task: Tensor | None = None
        self._nearest = float("inf")

    def watch(self, tick: Tick) -> None:
        """Take in a tick."""
        said = tick.messages
        if not self._goal.size or not {Observation, Percept, Task} <= said.keys():
            return
        there = said[Observation].values[0, self._mind.site.sensors[self._goal.names[0]]]
        self._task = said[Task].goal[0]
        away = float(torch.linalg.vector_norm(there - self._task))
        self._nearest = min(self._nearest, away)
        self._lived.append(said[Percept].latent[0])

    def explain(self, seed: int) -> dict[str, Any]:
        """Return how near it came (in the goal's unit), and what forbids the straight way on.

        The straight way from where the episode ended is put to the sealed guardrails, margins
        included: `guardrail` is the one it breaks by the most, `limit` what that demands, `beyond`
        by how much in its `unit`; None where no guardrail forbids it.
        """
        found: dict[str, Any] = {"seed": seed, "nearest": self._nearest, "guardrail": None}
        if self._task is None:
            return found
        found["goal_unit"] = self._goal.channels[0].unit
        reader, here = Reader(self._mind, self._lived), self._lived[-1]
        values = reader.guard_path(here, reader.straight_plan(here, self._task)).amax(dim=1)
        if len(values) and float(values.max()) > 0:
            rail = self._mind.rails[int(values.argmax())]
            found |= {
                "guardrail": rail.name,
                "limit": describe(rail),
                "beyond": float(values.max()),
                "unit": getattr(rail, "unit", ""),
            }
        return found
