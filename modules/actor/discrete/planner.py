"""What the planners that choose among motion primitives share.

Source: LeCun (2022) sec. 3.1.2 (search, where actions are discrete); Bertsekas (2020) ch. 2,
rollout: judge a first decision by following a known plan afterwards.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from agent.core.protocols import Site
from modules.actor.discrete.problem import Path, Problem, Search, State, advance
from modules.actor.discrete.tree import Forest, grid
from modules.actor.noise import Tape
from modules.actor.planner import MIX, Planner
from modules.actor.sampling import Pool
from modules.actor.search import Wave, Waves

MOST = 512
"""Motion primitives that an actor may have."""


def _with_none(levels: list[float]) -> list[float]:
    if 0.0 not in levels or max(map(abs, levels)) > 1.0:
        raise ValueError("expected shares from -1 to 1, 0 (no change) among them")
    return levels


Levels = Annotated[list[float], Field(min_length=2), AfterValidator(_with_none)]
"""Shares of the way from where a search departs to the limits: -1 to 1, 0 among them."""


class Discrete(Planner):
    """Plans with motion primitives: every combination of a few levels per actuator, held a while.

    To them come, at every depth, the last plan and the policy's proposal, taken up where they are
    by then. The first search of a tick departs from rest, every later one, with finer
    primitives, from the best plan so far. Every state that a search looks at is a whole plan, which
    goes on as the one it departed from, and is billed as such: the best so far is always at hand.
    Which states to look at is the subclass's `strategy`.
    """

    class Config(Planner.Config):
        """Motion primitives, and how many prefixes are extended at once.

        `levels` are shares of the way from where a search departs to the limits, 0 among them, each
        held for `hold` ticks. They are scaled by a factor drawn log-uniformly from `finest` to 1 at
        each tick, so that plans become finer as they are carried on (1 leaves them as they are),
        and by another `finer` from one of the `iterations` searches to the next. `width` prefixes
        of a plan are extended at once, by every primitive.
        """

        iterations: int = Field(default=3, ge=1)
        width: int = Field(default=2, ge=1)
        levels: Levels = [-1.0, 0.0, 1.0]
        hold: int = Field(default=2, ge=1)
        finest: float = Field(default=0.3, gt=0, le=1)
        finer: float = Field(default=0.3, gt=0, le=1)

    def __init__(self, config: Config, site: Site, merge: float = 0.0) -> None:
        """Build the planner; states closer than `merge` of their layer's spread count as one.

        Raises ValueError if there is no objective, or too many primitives.
        """
        super().__init__(config, site)
        self._primitives, self._merge = config, merge
        self._few(config.levels)

    @abstractmethod
    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config, policy = self._primitives, self.policy
        rest = policy.rest.expand_as(seeds[:, :1])
        base, scale = rest, self._scale()
        for _ in range(config.iterations):
            levels = [scale * level for level in config.levels]
            around = grid(levels, policy.low, base, policy.high)
            choices = policy.settled(torch.cat((around, seeds, rest), dim=1))
            moving = max(seeds.shape[2] - policy.settle, 1)
            forest = Forest(choices, config.hold, moving, config.width, self._merge)
            searches = [self.strategy(tree) for tree in forest.trees]
            asked = [_states(advance(search)) for search in searches]
            while any(asked):
                told = yield Wave(forest.plans(asked))
                steps, known = forest.learn(asked, told.fresh), told.known
                pairs = zip(searches, steps, strict=True)
                asked = [
                    _states(advance(search, found)) if found else [] for search, found in pairs
                ]
            base, scale = known.actions[:, :1], scale * config.finer

    def _few(self, levels: list[float]) -> None:
        """Raise ValueError if there are too many combinations of levels over the actuators."""
        count, size = len(set(levels)), self.site.actuators.size
        if count**size > MOST:
            raise ValueError(
                f"{self.name}: expected at most {MOST} motion primitives, came {count} levels for"
                f" each of {size} actuators, {count**size:.3g} together; use fewer levels, or cem"
            )

    def _scale(self) -> float:
        """Return this tick's scale of all levels, the same for every agent."""
        generator = torch.Generator().manual_seed(self.site.seed * MIX + self._tick)
        return float(self._primitives.finest ** float(torch.rand((), generator=generator)))


def _states(answer: list[State] | Path | None) -> list[State]:
    """Return what a search asks for; nothing if it has ended."""
    return answer if isinstance(answer, list) else []
