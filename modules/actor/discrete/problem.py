"""What every discrete search is about: states, steps with energies, and paths through them.

A search is a generator: it yields the states it wants expanded, all at once, and is sent the steps
from each. Whoever holds the problem answers, so that one call of the world model can serve
many states, and many searches.

Source: LeCun (2022) sec. 3.1.2 (search where actions are discrete); Russell & Norvig (2021) ch. 3.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

State = Any
"""Whatever a problem calls its states by; hashable."""


class Step(NamedTuple):
    """A move to the state `to`, and its energy; infinite where it is forbidden."""

    to: State
    energy: float


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the start: the state it has come to, what it cost, and the path before."""

    state: State
    energy: float = 0.0
    before: Path | None = None

    def on(self, steps: Iterable[Step]) -> list[Path]:
        """Return this path, one step longer, for each of `steps` that is not forbidden."""
        return [Path(s.to, self.energy + s.energy, self) for s in steps if math.isfinite(s.energy)]

    def states(self) -> list[State]:
        """Return the states on the way, the start first."""
        found, here = [self.state], self.before
        while here is not None:
            found.append(here.state)
            here = here.before
        return found[::-1]


class Problem(Protocol):
    """Where to start, what there is to know of a state, and when to stop.

    `depth` bounds the steps of a path. A state's `estimate` may be asked for once it was a step's
    end, and is the energy still to pay from there: A* needs it never too large.
    """

    start: State
    depth: int

    def estimate(self, state: State) -> float:
        """Return the energy expected from `state` on."""
        ...

    def done(self, state: State) -> bool:
        """Say whether a path may end at `state`; no step leads on from there."""
        ...

    def distinct(self, paths: Sequence[Path]) -> list[Path]:
        """Return `paths` without those that come where one before them in the list comes."""
        ...


class Expandable(Problem, Protocol):
    """A problem that answers for itself."""

    def expand(self, states: Sequence[State]) -> list[list[Step]]:
        """Return the steps from each of `states`."""
        ...


Search = Generator[list[State], list[list[Step]], Path | None]
"""Yields states to expand, is sent their steps, returns the best path to where one may end."""


def advance(search: Search, steps: list[list[Step]] | None = None) -> list[State] | Path | None:
    """Return the states a search asks for next; or the path it has found, None if there is none."""
    try:
        return next(search) if steps is None else search.send(steps)
    except StopIteration as end:
        found: Path | None = end.value
        return found


def solve(problem: Expandable, search: Search) -> Path | None:
    """Return what `search`, which is about `problem`, finds."""
    answer = advance(search)
    while isinstance(answer, list):
        answer = advance(search, problem.expand(answer))
    return answer


def cheapest(paths: Iterable[Path], best: Path | None = None) -> Path | None:
    """Return the path of least energy, the first if there are several; `best` stands first."""
    known = [best] if best is not None else []
    return min([*known, *paths], key=lambda path: path.energy, default=None)
