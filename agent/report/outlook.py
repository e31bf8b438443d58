"""Looking back, tick by tick: surprise of late, the modes so far, what was expected of now.

Source: LeCun (2022) sec. 3.1, Mode-1 and Mode-2; sec. 3.1.2, the cost of an imagined outcome.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.core.loop import Tick
from agent.core.messages import Appraisal, Mode, Percept, Plan
from agent.report.expectation import came, expected

SPARKS = "▁▂▃▄▅▆▇█"
RECENT = 24
"""Ticks of surprise that are kept."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What the last `look` knew: of `planned` ticks of this episode `deliberated` were of Mode-2.

    `surprises` are the latest, oldest first. `expected` is the energy that the plan which ended
    here had expected, `charged` what came; both without the critic, None where nobody said.
    """

    surprises: tuple[float, ...] = ()
    deliberated: int = 0
    planned: int = 0
    expected: float | None = None
    charged: float | None = None

    def sparks(self) -> str:
        """Return the surprises as a row of bars, as high as their share of the greatest."""
        most = max((s for s in self.surprises if math.isfinite(s)), default=0.0) or 1.0
        bars = (min(7, int(8 * s / most)) if math.isfinite(s) else None for s in self.surprises)
        return "".join("?" if bar is None else SPARKS[bar] for bar in bars)


@dataclass(slots=True)
class Outlook:
    """Agent 0's view of an episode; `terms` are the names of the run's cost terms."""

    terms: Sequence[str]
    _surprises: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT), init=False)
    _deliberated: int = field(default=0, init=False)
    _planned: int = field(default=0, init=False)
    _due: dict[int, float] = field(default_factory=dict, init=False)

    def look(self, tick: Tick) -> Glance:
        """Take in the next tick; a few numbers are kept of it."""
        said = tick.messages
        percept, plan, felt = said.get(Percept), said.get(Plan), said.get(Appraisal)
        if percept is not None:
            self._surprises.append(float(percept.surprise[0]))
        if plan is not None:
            self._planned += 1
            self._deliberated += int(plan.mode[0]) == Mode.DELIBERATE
            if plan.terms.shape[1] == len(self.terms):
                ahead = expected(plan, self.terms)
                self._due[tick.index + plan.actions.shape[1]] = sum(ahead.values())
        charged = None
        if felt is not None and felt.terms.shape[1] == len(self.terms):
            charged = sum(came(felt, self.terms).values())
        due = self._due.pop(tick.index, None)
        return Glance(tuple(self._surprises), self._deliberated, self._planned, due, charged)
