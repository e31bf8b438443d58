"""Dynamic programming: of all ways to the same state only the cheapest is followed.

Source: Bellman (1957), the principle of optimality; forward in time, as Viterbi (1967).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.discrete.planner import Discrete
from modules.actor.discrete.problem import Path, Problem, Search, cheapest


class DynamicProgramming(Discrete):
    """Merges prefixes that lead to the same state: V(s') = min over s of V(s) + e(s, s').

    States are the same if their imagined latents lie within `merge` of each other. It runs forward
    in time, so that every state it keeps was imagined from the present one, step by step, and never
    from a neighbour. Exact, up to merging, as long as a layer has no more than `width` states;
    beyond that it keeps the most promising ones.
    """

    class Config(Discrete.Config):
        """`width` states are kept per layer; `merge` is a share of the layer's spread.

        The spread is the root mean squared distance of the layer's latents from their mean.
        """

        merge: float = Field(default=0.05, ge=0)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site, config.merge)
        self.config, self.name = config, "dynamic_programming"

    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""
        return dynamic_programming(problem, self.config.width)


def dynamic_programming(problem: Problem, width: int) -> Search:
    """Search `problem` layer by layer, with one path to each distinct state, `width` at most."""
    layer, best = [Path(problem.start)], None
    for _ in range(problem.depth):
        steps = yield [path.state for path in layer]
        after = [p for path, found in zip(layer, steps, strict=True) for p in path.on(found)]
        best = cheapest((p for p in after if problem.done(p.state)), best)
        going = [p for p in after if not problem.done(p.state)]
        merged = problem.distinct(sorted(going, key=lambda p: p.energy))
        layer = sorted(merged, key=lambda p: p.energy + problem.estimate(p.state))[:width]
        if not layer:
            break
    return best
