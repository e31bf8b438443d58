"""Dynamic programming: of all ways to the same state only the cheapest is followed.

Source: Bellman (1957), the principle of optimality; forward in time, as Viterbi (1967).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.beam import beam
from modules.actor.discrete.planner import Discrete
from modules.actor.discrete.problem import Problem, Search


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
        return beam(problem, self.config.width, merge=True)
