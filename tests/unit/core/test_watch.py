"""The watch over the gate: whoever exchanges who asks the guardrails is noticed at the next tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from agent.core import gate as gates
from agent.core import repair
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Ruling
from agent.core.objective import GuardedObjective
from tests.toys import Adding, Below, Free, Place, gate, percept, plan, steps

RASH = steps((0.2, 0.1), (0.9, 0.1))


def asks_nobody(*_: Any, **__: Any) -> Any:
    return torch.full((1, 1, 2), -1.0)


def patch(owner: Any, name: str, value: Any = asks_nobody) -> Callable[..., None]:
    return lambda monkeypatch, guard: monkeypatch.setattr(owner(guard), name, value, raising=False)


def recoded(monkeypatch: pytest.MonkeyPatch, guard: Gate) -> None:
    monkeypatch.setattr(Gate._values, "__code__", asks_nobody.__code__)


def recoded_repair(monkeypatch: pytest.MonkeyPatch, guard: Gate) -> None:
    monkeypatch.setattr(repair.choose, "__code__", asks_nobody.__code__)


def within(monkeypatch: pytest.MonkeyPatch, guard: Gate) -> None:
    guard._high.fill_(99.0)


def rested(monkeypatch: pytest.MonkeyPatch, guard: Gate) -> None:
    guard.fallback.data = torch.ones(2)


def disguised(monkeypatch: pytest.MonkeyPatch, guard: Gate) -> None:
    guard._objective.__class__ = type("Objective", (GuardedObjective,), {})


Deed = Callable[[pytest.MonkeyPatch, Gate], None]
DEEDS: dict[str, Deed] = {
    "a method of the gate's class": patch(lambda _: Gate, "_values"),
    "a method put on the gate": patch(lambda guard: guard, "_values"),
    "the code of a method": recoded,
    "a static method": patch(lambda _: Gate, "_none", staticmethod(asks_nobody)),
    "a method of the objective's class": patch(lambda _: GuardedObjective, "guard"),
    "a property": patch(lambda _: GuardedObjective, "guardrails", property(asks_nobody)),
    "a method put on the objective": patch(lambda guard: guard._objective, "guard"),
    "a method of the guardrails' class": patch(lambda _: Guardrails, "evaluate"),
    "a function the gate uses": patch(lambda _: gates, "_worst"),
    "a function that repairs": recoded_repair,
    "the world model": patch(lambda guard: guard._objective, "_model", Adding()),
    "the cost": patch(lambda guard: guard._objective, "_cost", Free()),
    "the objective": patch(
        lambda guard: guard,
        "_objective",
        GuardedObjective(Adding(), Free(), None),  # type: ignore[arg-type]
    ),
    "the deadline": patch(lambda guard: guard, "deadline_ms", 1e9),
    "the actuators' limits": within,
    "the fallback": rested,
    "a class": disguised,
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_what_was_exchanged_is_noticed(deed: Deed, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = gate()
    deed(monkeypatch, guard)
    verdict, _ = guard.rule(percept((0.0, 0.0)), plan(RASH))
    assert verdict.ruling.tolist() == [Ruling.VETOED]
    assert "seal" in verdict.reasons[0]


def test_a_gate_at_work_notices_nothing() -> None:
    guard, other = gate(), gate(Below(2.0), fallback=(0.1, 0.1))
    for _ in range(3):
        for one in (guard, other):
            verdict, _ = one.rule(percept((0.0, 0.0)), plan(RASH))
            assert "seal" not in "".join(verdict.reasons)
        guard.reset()


def test_another_gates_guardrails_are_not_ours() -> None:
    guard = gate()
    guard._objective._guardrails = Guardrails((Below(99.0),), Place())
    verdict, _ = guard.rule(percept((0.0, 0.0)), plan(RASH))
    assert "seal" in verdict.reasons[0]
