"""Beam search: layer by layer, only the most promising states are followed.

Source: Lowerre (1976), the Harpy system; Russell & Norvig (2021) sec. 4.1.3.
"""

from __future__ import annotations

from typing import ClassVar

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.discrete.planner import Discrete
from modules.actor.discrete.problem import Path, Problem, Search, cheapest


class Beam(Discrete):
    """Follows the `width` best prefixes of a plan, depth by depth.

    A prefix is judged by the energy of the whole plan that it stands for. With a width that no
    layer exceeds, every plan of the search's motion primitives is tried.
    """

    class Config(Discrete.Config):
        """`width` prefixes are kept at every depth."""

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""
        return beam(problem, self.config.width)


def beam(problem: Problem, width: int, merge: bool = False) -> Search:
    """Search `problem`, keeping `width` paths per layer by energy paid and estimated.

    With `merge`, only the cheapest path to each distinct state.
    """
    layer, best = [Path(problem.start)], None
    for _ in range(problem.depth):
        steps = yield [path.state for path in layer]
        after = [p for path, found in zip(layer, steps, strict=True) for p in path.on(found)]
        best = cheapest((p for p in after if problem.done(p.state)), best)
        going = [p for p in after if not problem.done(p.state)]
        if merge:
            going = problem.distinct(sorted(going, key=lambda p: p.energy))
        layer = sorted(going, key=lambda p: p.energy + problem.estimate(p.state))[:width]
        if not layer:
            break
    return best
