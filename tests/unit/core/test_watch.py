"""The watch over the gate: whoever exchanges who asks the guardrails is noticed at the next tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from agent.core import gate as gates
from agent.core import mend, repair
from agent.core.adaptive import AdaptiveMargins
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Ruling
from agent.core.objective import GuardedObjective
from agent.core.origin import origin_of
from tests.toys import ACTUATORS, Adding, Below, Free, Place, gate, percept, plan, steps

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
    "a function the gate uses": patch(lambda _: gates, "worst_of"),
    "a function that mends": patch(lambda _: mend, "choose"),
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


def test_what_is_changed_between_two_episodes_is_noticed_in_the_next() -> None:
    first = gate()
    origin = origin_of(Gate, first.guardrails, first._objective, first.fallback)
    first._objective._model = Adding()
    for watch, words in ((None, ""), (origin, "the gate is not the one that was built")):
        later = Gate(
            first.guardrails, first._objective, ACTUATORS, first.fallback, origin=watch
        )  # fmt: skip
        verdict, _ = later.rule(percept((0.0, 0.0)), plan(steps((0.1, 0.1))))
        assert verdict.ruling.item() == (Ruling.VETOED if words else Ruling.ALLOWED)
        assert "".join(verdict.reasons).startswith(words)


@pytest.mark.parametrize("edit", ["alpha", "_objective", "see"])
def test_margins_that_adapt_are_watched_too(edit: str) -> None:
    stands = gate()
    rails, objective = stands.guardrails, stands._objective
    adaptive = AdaptiveMargins(rails, objective, 2, 0.1, 0.1)
    origin = origin_of(Gate, rails, objective, stands.fallback, adaptive)
    assert origin.intact()
    setattr(adaptive, edit, asks_nobody)
    assert not origin.intact()


def test_the_function_behind_a_wrapper_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = gate()
    wrapped: Any = vars(Gate)["look"]
    monkeypatch.setattr(wrapped.__wrapped__, "__code__", asks_nobody.__code__)
    verdict, _ = guard.rule(percept((0.0, 0.0)), plan(steps((0.1, 0.1))))
    assert verdict.ruling.item() == Ruling.VETOED


def test_another_gates_guardrails_are_not_ours() -> None:
    guard = gate()
    guard._objective._guardrails = Guardrails((Below(99.0),), Place())
    verdict, _ = guard.rule(percept((0.0, 0.0)), plan(RASH))
    assert "seal" in verdict.reasons[0]
