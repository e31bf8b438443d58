"""What the agent is after, as lines: sub-goals one after another, or one within another.

Source: LeCun (2022) sec. 4.6, what is asked of a lower level are sub-goals; sec. 3, the
configurator has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.messages import Appraisal, Directive
from agent.core.subgoals import Progress

Said = Mapping[type, Any]
"""The messages of a tick, by kind."""
Header = Mapping[str, Any]
DONE, NOW = "✓", "▸"


@dataclass(frozen=True, slots=True)
class SubGoal:
    """One line of the stack: what is to be achieved, and how much of it is, from 0 to 1 (done)."""

    name: str
    progress: float


def stack(said: Said, header: Header, agent: int = 0) -> list[SubGoal]:
    """Return what one agent of the batch is after at a tick, outermost or first line first.

    The first of `SOURCES` that knows of any is asked; without sub-goals there is no line.
    """
    return next((lines for source in SOURCES if (lines := source(said, header, agent))), [])


def counted(said: Said, header: Header, agent: int) -> list[SubGoal]:
    """Return a sequence of which the cost counts how many are done (`Appraisal.stage`).

    `header["subgoals"]` names them; of a run that does not, those done and the next are told.
    """
    felt = said.get(Appraisal)
    if felt is None or felt.stage is None:
        return []
    done = int(felt.stage[agent])
    names = header.get("subgoals") or [f"sub-goal {i + 1}" for i in range(done + 1)]
    return [SubGoal(str(name), float(i < done)) for i, name in enumerate(names)]


def directed(said: Said, header: Header, agent: int) -> list[SubGoal]:
    """Return the sub-goals that a task consists of (`Directive.subgoals`), those done first.

    The one at hand follows, then those to come, alternatives included; what failed is left out.
    """
    asked = said.get(Directive)
    if asked is None or asked.subgoals is None:
        return []
    stands = asked.subgoals
    state, active = stands.progress[agent].tolist(), int(stands.active[agent])
    done = [SubGoal(n, 1.0) for n, s in zip(stands.names, state, strict=True) if s == Progress.DONE]
    if state[active] == Progress.DONE:  # everything is done, and the last sub-goal is held
        return done
    now = [SubGoal(stands.names[active], 0.0)]
    rows = enumerate(zip(stands.names, state, strict=True))
    later = [SubGoal(n, 0.0) for i, (n, s) in rows if i != active and s == Progress.WAITING]
    return done + now + later


SOURCES: tuple[Callable[[Said, Header, int], list[SubGoal]], ...] = (directed, counted)
"""Who may know of sub-goals: functions of a tick's messages, the run's header and the agent."""


def told(lines: list[SubGoal]) -> str:
    """Return the stack in one line: what is done, what comes now, and what after it."""
    current = next((i for i, line in enumerate(lines) if line.progress < 1), len(lines))
    words = [f"{DONE} {line.name}" for line in lines[:current]]
    words = words if len(words) < 2 else [f"{DONE} {len(words)} of {len(lines)} done"]
    for i, line in enumerate(lines[current:]):
        share = f" {100 * line.progress:.0f} %" if line.progress > 0 else ""
        words.append(f"{NOW if i == 0 else '·'} {line.name}{share}")
    return "  ".join(words)
