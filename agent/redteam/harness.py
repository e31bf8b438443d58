"""An agent under watch: what was judged, what went out, and what went wrong, tick by tick.

The watch does not believe the gate. It sees what was imagined while no module was ticking, which
is what the gate imagined, and judges it again with guardrails of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor

from agent.config.build import Blueprint, Mind, Tensors
from agent.core.errors import HousecatError
from agent.core.guardrails import Guardrails
from agent.core.loop import Agent, Tick
from agent.core.messages import Action, Observation, Percept, Plan, Rollout, Ruling, Task, Verdict
from agent.core.protocols import Module
from agent.evaluate.episodes import trials_of

Bend = Callable[[Any], Any]
"""What is done to a message on its way: it returns the message, another, or raises."""


@dataclass(slots=True)
class Watched:
    """What came of ticks lived under watch, added up.

    `unvalidated`: commands that were not finite, outside the limits, or neither the fallback nor
    the first of a plan that the gate imagined whole, from this tick's percept, and, where it was
    allowed as it is, that keeps every guardrail at every step. `uncaught`: exceptions that left the
    loop. `refused_at`: ticks between a fault that a module or the gate named and the fallback (0:
    the same tick). `flags`: what was named. `broken`: ticks of true violations.
    """

    ticks: int = 0
    unvalidated: int = 0
    uncaught: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    rulings: list[int] = field(default_factory=list)
    late: int = 0
    broken: int = 0
    recovered: bool | None = None
    slowest_ms: float = 0.0


class Watch:
    """Stands around one agent; `bends` say what happens to messages, by who posts them."""

    def __init__(self, mind: Mind, world: Any, judge: Guardrails, deadline: bool = False) -> None:
        """Wire the agent of `mind`; `judge` are guardrails of another mind, out of its reach."""
        self.agent: Agent = mind.agent(world, deadline)
        self.world, self._judge, self._trials = world, judge, trials_of(world)
        self._low, self._high = world.actuators.bounds()
        self._fallback = self.agent.gate.fallback.clone()
        self.bends: dict[str, Bend] = {}
        self._busy = False
        self._imagined: list[Rollout] = []
        self._listen(mind)
        bent = {name: _Bent(module, name, self) for name, module in self.agent.modules.items()}
        self.agent.modules = cast("dict[str, Module]", bent)

    def _listen(self, mind: Mind) -> None:
        """Keep what is imagined while no module ticks."""
        real = mind.world_model.imagine

        def imagine(state: Tensor, actions: Tensor, *rest: Any, **more: Any) -> Rollout:
            made: Rollout = real(state, actions, *rest, **more)
            bend = self.bends.get("imagination")
            made = made if bend is None else bend(made)
            if not self._busy:
                self._imagined.append(made)
            return made

        mind.world_model.imagine = imagine

    def live(
        self, seeds: Sequence[int], ticks: int, at: int | None = None, until: int | None = None
    ) -> Watched:
        """Live one episode, bends in force at ticks `at` to `until` (None: throughout)."""
        found, bends = Watched(), self.bends
        self.bends = {} if at is not None else bends
        task: Task = self._trials.tasks(seeds)
        try:
            if "the task" in bends and at is None:
                task = bends["the task"](task)
            self.agent.reset(task)
            self._judge.begin()
            seen = self.world.reset(seeds)
            scorer = self._trials.Scorer(self.world, self._trials.tasks(seeds))
            for index in range(ticks):
                struck = at is None or at <= index < (at + 1 if until is None else until)
                self.bends = bends if struck else {}
                seen = self._tick(seen, found, index - (at or 0), struck)
                scorer.look()
            score = scorer.score()
            found.broken = int(score.contacts.sum() + score.speeding.sum())
        except HousecatError as fault:
            found.flags.append(str(fault))  # ended by name, as the worlds' own faults are
        except Exception as fault:  # noqa: BLE001 - that is what is counted
            found.uncaught.append(f"{type(fault).__name__}: {' '.join(str(fault).split())}")
        finally:
            self.bends = bends
        return found

    def _tick(self, seen: Observation, found: Watched, since: int, struck: bool) -> Observation:
        self._imagined.clear()
        if "world" in self.bends:
            seen = self.bends["world"](seen)
        begin = time.perf_counter()
        tick = self.agent.tick(seen)
        found.slowest_ms = max(found.slowest_ms, (time.perf_counter() - begin) * 1e3)
        command = tick.messages[Action].command
        verdict, percept = tick.messages[Verdict], tick.messages.get(Percept)
        self._judge.witness(None if percept is None else percept.latent)
        found.ticks += 1
        found.unvalidated += int(self.unvalidated(tick).sum())
        found.flags += [*tick.faults, *(r for r in verdict.reasons if r)]
        found.rulings += verdict.ruling.tolist()
        if Plan not in tick.messages:
            found.late += int(not torch.equal(command, self._fallback.expand_as(command)))
        allowed = bool((verdict.ruling == int(Ruling.ALLOWED)).all())
        found.recovered = None if struck else allowed
        return self.step(Action(command))

    def step(self, action: Action) -> Observation:
        """Hand the command to the world; a disturbance may bend it there."""
        bend = self.bends.get("body")
        seen: Observation = self.world.step(action if bend is None else bend(action))
        return seen

    def unvalidated(self, tick: Tick) -> Tensor:
        """Say which commands [B] of a tick may not have gone out, by this watch's own judgement."""
        command, verdict = tick.messages[Action].command, tick.messages[Verdict]
        rows = command.shape[0]
        sound = torch.isfinite(command).all(dim=1)
        sound &= ((command >= self._low) & (command <= self._high)).all(dim=1)
        resting = (command == self._fallback).all(dim=1)
        judged, safe = torch.zeros(rows, dtype=torch.bool), torch.zeros(rows, dtype=torch.bool)
        percept = tick.messages.get(Percept)
        for rollout in self._imagined:
            plans = rollout.actions
            if plans.shape[0] != rows or percept is None:
                continue
            same = (plans[:, :, 0] == command.unsqueeze(1)).all(dim=2)
            same &= (rollout.start == percept.latent).all(dim=1, keepdim=True)
            values = self.values(rollout)
            kept = (values <= 0.0).flatten(2).all(dim=2) & (values.shape[-1] == plans.shape[2])
            judged |= same.any(dim=1)
            safe |= (same & kept).any(dim=1)
        allowed = verdict.ruling == int(Ruling.ALLOWED)
        fine = torch.where(allowed, safe, judged | resting)
        return ~(sound & fine)

    def values(self, rollout: Rollout) -> Tensor:
        """Return guardrail values [B K R H] of what the gate imagined, by guardrails of its own.

        Those that remember do so from the percepts of this episode, as the runtime's do.
        """
        judge = self._judge
        read, past = judge.read(rollout), judge.recall(rollout.start)
        return judge.evaluate(replace(rollout, quantities=read, past=past))


class _Bent:
    """A module whose messages a `Watch` may bend."""

    def __init__(self, real: Any, name: str, watch: Watch) -> None:
        self._real, self._name, self._watch = real, name, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def tick(self, inbox: Any) -> Any:
        watch = self._watch
        watch._busy = True
        try:
            bend = watch.bends.get(self._name)
            before = watch.bends.get(f"before {self._name}")
            if before is not None:
                before(inbox)
            message = self._real.tick(inbox)
            return message if bend is None else bend(message)
        finally:
            watch._busy = False


def watched(base: Blueprint, tensors: Tensors, batch: int = 1, deadline: bool = False) -> Watch:
    """Return a watch around a fresh agent in a fresh world; close its `world` afterwards."""
    judge = base.assemble(tensors).guardrails
    return Watch(base.assemble(tensors), base.world(batch), judge, deadline)


__all__ = ["Bend", "Watch", "Watched", "watched"]
