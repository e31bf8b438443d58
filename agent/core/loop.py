"""The sentence: observe, perceive, remember, appraise, plan, pass the gate, act, forecast.

An `Agent` is six wired modules and a gate. `live` runs it in a world, tick by tick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from agent.core.board import Board, BoardInbox, peek
from agent.core.errors import HousecatError, InputError
from agent.core.gate import Gate
from agent.core.messages import Action, Observation, Percept, Plan, Task, Verdict
from agent.core.protocols import Module, World
from agent.core.schedule import GATE, Schedule


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything that was said in one tick: messages by kind, and milliseconds by module.

    `faults` are the one-line reasons why modules failed; the gate then sent the fallback.
    """

    index: int
    messages: Mapping[type, Any]
    elapsed_ms: Mapping[str, float]
    faults: tuple[str, ...] = ()


class Agent:
    """Six wired modules and the gate. Build one with `agent.config.build`, not by hand."""

    def __init__(
        self,
        modules: Mapping[str, Module],
        gate: Gate,
        plan: Schedule,
        checks: Mapping[type, Callable[[Any], None]],
    ) -> None:
        """Join modules in the order of `plan`; `checks` are the compiled port checks."""
        self.modules, self.gate, self.schedule = modules, gate, plan
        self._checks = checks
        self._board = Board()
        self._inboxes = {
            n: BoardInbox(self._board, n, tuple(m.reads), tuple(m.recalls))
            for n, m in modules.items()
        }
        self._task: Task | None = None
        self._index = 0

    def reset(self, task: Task) -> None:
        """Start an episode: as many agents as `task` has goals.

        Raises BoardError if the task is not what the agent was wired for.
        """
        self._checks[Task](task)
        self._task, self._index = task, 0
        self._board.clear()
        self.gate.reset()
        for module in self.modules.values():
            module.reset(task.goal.shape[0])

    @torch.no_grad()
    def tick(self, observation: Observation) -> Tick:
        """Think once. Never raises on a module's failure: the gate sends the fallback then."""
        board, checks, modules = self._board, self._checks, self.modules
        elapsed: dict[str, float] = {}
        faults: list[str] = []
        start = mark = time.perf_counter()
        try:
            checks[Observation](observation)
            board.post(observation, "world")
            board.post(self._task, "the task")
        except Exception as fault:  # noqa: BLE001 - the world, too, may send anything
            faults.append(_line("world", fault))
        ruled: dict[type, Any] = {}
        for name in self.schedule.order:
            if name == GATE:
                ruled = self._pass((mark - start) * 1e3, faults)
            elif not faults or ruled:
                try:
                    message = modules[name].tick(self._inboxes[name])
                    checks[modules[name].posts](message)
                    board.post(message, name)
                    if isinstance(message, Percept):
                        self.gate.look(message)
                except Exception as fault:  # noqa: BLE001 - any failure must end in the fallback
                    faults.append(_line(name, fault))
            now = time.perf_counter()
            elapsed[name] = (now - mark) * 1e3
            mark = now
        tick = Tick(self._index, {**peek(board), **ruled}, elapsed, tuple(faults))
        self._index += 1
        board.turn()
        return tick

    def _pass(self, thought_ms: float, faults: list[str]) -> dict[type, Any]:
        """Return the verdict and the command that goes out; on the board are copies.

        The gate has the last word: who ticks after it cannot change the command by editing the
        message, and a message that a module smuggled onto the board in its name is a fault.
        """
        now = self._board.now
        if Action in now or Verdict in now:
            faults.append("a module posted what only the gate may post; remove that module")
        fault = faults[0] if faults else ""
        if not fault and thought_ms > self.gate.deadline_ms:
            fault = f"late: {thought_ms:.1f} ms, deadline {self.gate.deadline_ms:.1f} ms"
        verdict, action = self.gate.rule(now.get(Percept), now.get(Plan), fault)
        assert self._task is not None, "tick before reset"
        rows = self._task.goal.shape[0]
        if action.command.shape[0] != rows:
            action = Action(self.gate.fallback.expand(rows, -1).clone())
        now[Verdict], now[Action] = verdict, Action(action.command.clone())
        self.gate.sent(action)
        return {Verdict: verdict, Action: action}


def live(
    agent: Agent, world: World, seeds: Sequence[int], task: Task, ticks: int
) -> Iterator[Tick]:
    """Live one episode per seed in lock-step, yielding every tick after its action went out.

    However it ends, by exhaustion, Ctrl-C or an exception, the last command the world got is a
    checked one; when it ends early the fallback goes out. Then the episode is forgotten. Raises
    InputError if there is not one goal for each seed.
    """
    agent.reset(task)
    if task.goal.shape[0] != len(seeds):
        raise InputError(
            f"live: expected one goal for each of {len(seeds)} episodes, came {task.goal.shape[0]};"
            f" set tasks and world from the same seeds"
        )
    observation = world.reset(seeds)
    ended = False
    try:
        for _ in range(ticks):
            tick = agent.tick(observation)
            observation = world.step(tick.messages[Action])
            yield tick
        ended = True
    finally:
        if not ended:
            world.step(Action(agent.gate.fallback.expand(len(seeds), -1).clone()))
        agent.gate.reset()


def _line(name: str, fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return text if isinstance(fault, HousecatError) else f"{name}: {type(fault).__name__}: {text}"


__all__ = ["Agent", "Tick", "live"]
