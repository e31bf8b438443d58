"""What `run` and `check` print before anything moves: versions, wiring, guardrails."""

from __future__ import annotations

from typing import Any

from agent.cli.common import say, versions
from agent.config.build import Mind
from agent.core.guardrails import realised
from agent.core.loop import Agent
from agent.core.schedule import kinds


def preflight(mind: Mind, agent: Agent, about: dict[str, Any]) -> None:
    """Print versions, the schedule with who reads what, the guardrails and the seal."""
    say("  ".join(f"{k} {v}" for k, v in versions().items()))
    for note in getattr(mind.blueprint.singles["world"].kind, "notes", ()):
        say(f"world: {note}")
    say(f"tick: {agent.schedule.describe()}")
    for name in agent.schedule.order:
        say("  " + line(agent, name))
    margins = mind.guardrails.margins(mind.guardrails.calibrated)
    for row, rail in enumerate(mind.rails):
        margin = f"calibrated margin {margins[row, 0]:.3f} to {margins[row, -1]:.3f}"
        if not realised(rail):
            margin = "no margin: no sensor shows it"
        say(f"guardrail {rail.name}: {describe(rail)}, {margin}")
    say(f"seal {mind.guardrails.seal[:16]}  checkpoint {str(about.get('sha256', 'none'))[:16]}")


def line(agent: Agent, name: str) -> str:
    """Return what a module reads, recalls and posts, in one line."""
    reads, recalls, posts = kinds(name, agent.modules)
    text = f"{name:<13} reads {_names(reads):<42} posts {_names(posts)}"
    return text + (f"   recalls {_names(recalls)}" if recalls else "")


def describe(rail: Any) -> str:
    """Return a guardrail's limit as text, such as `proximity >= 0.025 m`."""
    return str(getattr(rail, "text", type(rail).__name__))


def _names(kinds: tuple[type, ...]) -> str:
    return ", ".join(k.__name__ for k in kinds) or "nothing"
