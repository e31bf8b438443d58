"""Monte-Carlo tree search: follow what looks good, and what was hardly tried.

Source: Coulom (2006); Kocsis & Szepesvari (2006), UCT; Silver et al. (2017), leaves judged instead
of played out; Schrittwieser et al. (2020) sec. B, values scaled to what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.discrete.planner import Discrete
from modules.actor.discrete.problem import Path, Problem, Search, cheapest


class MCTS(Discrete):
    """Descends the tree of motion primitives by UCT, `width` leaves at a time, `rounds` times.

    A leaf is judged by the whole plan that it stands for, instead of by random play. A plan's bill
    is the same at every visit, so a branch is worth its best plan, not the mean of all.
    """

    class Config(Discrete.Config):
        """`exploration` weighs how little a branch was tried against its energy, scaled to 0..1."""

        rounds: int = Field(default=4, ge=1)
        exploration: float = Field(default=0.2, ge=0)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner."""
        super().__init__(config, site)
        self.config = config

    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""
        return mcts(problem, self.config.width, self.config.rounds, self.config.exploration)


class Branch:
    """A path, the branches that lead on from it, how often it was tried and its best value."""

    __slots__ = ("above", "below", "closed", "depth", "path", "value", "visits")

    def __init__(self, path: Path, value: float, closed: bool, above: Branch | None) -> None:
        """Start with one visit; a `closed` branch is one where nothing is left to try."""
        self.path, self.value, self.closed, self.above = path, value, closed, above
        self.visits, self.below = 1, list[Branch]()
        self.depth: int = 0 if above is None else above.depth + 1

    def up(self) -> Iterator[Branch]:
        """Yield this branch and those above it, up to the root."""
        here: Branch | None = self
        while here is not None:
            yield here
            here = here.above


def mcts(problem: Problem, width: int, rounds: int, exploration: float) -> Search:
    """Search `problem`, expanding `width` leaves at a time, `rounds` times or until all was tried.

    Visits count when a leaf is chosen, so that leaves chosen together differ (Liu et al., 2020).
    """
    root, best = Branch(Path(problem.start), 0.0, False, None), None
    low, high = math.inf, -math.inf
    for _ in range(rounds):
        leaves: list[Branch] = []
        while len(leaves) < width and not root.closed:
            leaf = _descend(root, exploration, low, max(high - low, 1e-12))
            leaf.closed = True  # nothing to try until its steps are known
            _close(leaf)
            leaves.append(leaf)
        if not leaves:
            break
        steps = yield [leaf.path.state for leaf in leaves]
        for leaf, found in zip(leaves, steps, strict=True):
            for path in leaf.path.on(found):
                done = problem.done(path.state)
                best = cheapest([path], best) if done else best
                value = path.energy if done else path.energy + problem.estimate(path.state)
                low, high = min(low, value), max(high, value)
                shut = done or leaf.depth + 1 >= problem.depth
                leaf.below.append(Branch(path, value, shut, leaf))
            _back_up(leaf)
    return best


def _descend(root: Branch, exploration: float, low: float, scale: float) -> Branch:
    """Return the leaf that UCT leads to, counting the visit."""
    here = root
    while here.below:
        tried = math.log(here.visits)
        here.visits += 1
        here = min(
            (b for b in here.below if not b.closed),
            key=lambda b: (b.value - low) / scale - exploration * math.sqrt(tried / b.visits),
        )
    here.visits += 1
    return here


def _close(leaf: Branch) -> None:
    """Close the branches above that have nothing open below."""
    for branch in leaf.up():
        branch.closed = all(b.closed for b in branch.below)


def _back_up(leaf: Branch) -> None:
    """Tell the branches above what the best plan below is worth, and what is left to try."""
    for branch in leaf.up():
        branch.value = min((b.value for b in branch.below), default=math.inf)
        branch.closed = all(b.closed for b in branch.below)
