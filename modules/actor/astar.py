"""A*: the path first whose energy, paid and still expected, is least.

Source: Hart, Nilsson & Raphael (1968); weighted, Pohl (1970); several states at once, Felner,
Kraus & Korf (2003).
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import ClassVar

from pydantic import Field

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.discrete.planner import Discrete
from modules.actor.discrete.problem import Path, Problem, Search, State, cheapest


class AStar(Discrete):
    """Expands the prefixes of least f = g + weight * h, wherever in the tree they are.

    g is the energy of the prefix, h that of the rest of the plan it stands for, terminal terms
    included. That is one way on, so h is never too small, and plain A*'s promise does not hold:
    weight 1 finds good plans soon; weight 0 the best one, as terms are not negative, if `rounds`
    allow.
    """

    class Config(Discrete.Config):
        """`width` prefixes are expanded at once, `rounds` times at most; `weight` of h."""

        rounds: int = Field(default=4, ge=1)
        weight: float = Field(default=1.0, ge=0)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""
        return astar(problem, self.config.width, self.config.rounds, self.config.weight)


def astar(
    problem: Problem, width: int = 1, rounds: float = math.inf, weight: float = 1.0
) -> Search:
    """Search `problem`, expanding `width` states at a time, `rounds` times at most.

    The path returned is the cheapest there is if no estimate, times `weight`, is too large, and
    the rounds suffice.
    """
    best: Path | None = None
    order, known = itertools.count(), {problem.start: 0.0}
    waiting = [(0.0, next(order), Path(problem.start))]
    for index in itertools.count():
        chosen = _next(waiting, known, width, best)
        if not chosen or index >= rounds:
            return best
        steps = yield [path.state for path in chosen]
        pairs = zip(chosen, steps, strict=True)
        for path in itertools.chain.from_iterable(before.on(found) for before, found in pairs):
            if path.energy >= known.get(path.state, math.inf):
                continue
            known[path.state] = path.energy
            if problem.done(path.state):
                best = cheapest([path], best)
            else:
                total = path.energy + weight * problem.estimate(path.state)
                heapq.heappush(waiting, (total, next(order), path))
    return best


def _next(
    waiting: list[tuple[float, int, Path]],
    known: dict[State, float],
    width: int,
    best: Path | None,
) -> list[Path]:
    """Take up to `width` paths off the queue that may still beat `best`."""
    chosen: list[Path] = []
    while waiting and len(chosen) < width:
        total, _, path = heapq.heappop(waiting)
        if best is not None and total >= best.energy:
            break
        if path.energy <= known[path.state]:
            chosen.append(path)
    return chosen
