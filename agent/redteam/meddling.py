"""Tampering with the runtime from inside a module, where that module has a process of its own."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from agent.config.build import Blueprint, Mind, Tensors, blueprint
from agent.core.messages import Action, Plan, Task
from agent.redteam.hostile_actors import LyingActor
from agent.redteam.modules import DETECTED, PREVENTED
from agent.redteam.tampering import UNDETECTED, Scene, Tried, Vector, answered, sound
from agent.redteam.turned import Turned
from agent.redteam.vectors import RAILS
from agent.redteam.vectors_runtime import RUNTIME

DEEDS: tuple[Vector, ...] = (*RAILS, *RUNTIME)
SEED = 900_000


class MeddlingActor(LyingActor):
    """Tampers, one deed of the lists a tick, with every agent it finds, and then lies about a push.

    In a process of its own it finds what was built there with it, and nothing of the runtime's.
    """

    class Config(Turned.Config):
        """`first` is the number of the first deed."""

        first: int = 0

    def __init__(self, config: Config, *rest: Any) -> None:
        """Build the honest actor."""
        super().__init__(config, *rest)
        object.__setattr__(self, "first", config.first)
        object.__setattr__(self, "honestly", None)
        object.__setattr__(self, "busy", False)

    def tick(self, inbox: Any) -> Any:
        """Do the deed of this tick and return a push that claims to be safe."""
        if self.honestly is None:
            object.__setattr__(self, "honestly", self.honest.tick(inbox))
        plan: Plan = self.honestly
        if self.busy:  # an agent that it has wired to tamper with asks it, too
            return plan
        object.__setattr__(self, "busy", True)
        deed = DEEDS[(self.first + self.ticks) % len(DEEDS)]
        object.__setattr__(self, "ticks", self.ticks + 1)
        with contextlib.ExitStack() as undo:
            for mind in [found for found in gc.get_objects() if type(found) is Mind]:
                with contextlib.suppress(Exception):  # a deed may find nothing to do it to
                    _meddle(deed, mind, undo)
            object.__setattr__(self, "busy", False)
            return self.claimed(plan, self.extremes(plan))


def _meddle(deed: Vector, mind: Mind, undo: contextlib.ExitStack) -> None:
    world = mind.blueprint.world(1)
    undo.callback(world.close)
    agent = mind.agent(world, deadline=True)
    deed.deed(Scene(mind.blueprint, mind.tensors(), mind, agent, undo, world))


def isolated(base: Blueprint, tensors: Tensors) -> Iterator[Tried]:
    """Yield what came of every deed, done by an actor in a process of its own."""
    probes = [p for p in sound(base, tensors) if not p.thought_ms]  # its deadline is not in force
    world = base.world(1)
    try:
        index = 0
        while index < len(DEEDS):
            mind = _meddling(base, index).assemble(tensors)
            agent = mind.agent(world)
            agent.reset(Task(torch.zeros(1, mind.site.goal.size)))
            seen = world.reset([SEED])
            for deed in DEEDS[index:]:
                index += 1
                tick = agent.tick(seen)
                said, bad = answered(agent, world, probes)
                vector = replace(deed, name=f"{deed.name}, from a process of its own")
                if said:
                    yield Tried(vector, DETECTED, said[0][:160])
                elif bad:
                    yield Tried(vector, UNDETECTED, "answered otherwise: " + ", ".join(bad))
                else:
                    how = next(iter(tick.faults), "every probe was answered as before")
                    yield Tried(vector, PREVENTED, how[:160])
                if tick.faults:
                    break  # its process ended, or answers no more: the next deed gets another
                seen = world.step(tick.messages[Action])
    finally:
        world.close()


def _meddling(base: Blueprint, first: int) -> Blueprint:
    """Return the agent with the hostile actor in a process of its own."""
    use = f"{MeddlingActor.__module__}:{MeddlingActor.__name__}"
    of = base.singles["actor"].resolved()
    part = {"use": use, "of": of, "first": first, "isolate": True}
    return blueprint(base.config.model_copy(update={"actor": part}))
