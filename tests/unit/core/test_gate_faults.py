"""The gate: every way a tick can go wrong ends in the fallback, and says why."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Percept, Rollout, Ruling
from agent.core.objective import GuardedObjective
from agent.core.origin import origin_of
from tests.toys import ACTUATORS, Adding, Below, Free, Place, gate, percept, plan
from tests.unit.core.test_gate import CALM, ruled, vetoed


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_plan_that_is_not_finite_is_vetoed(bad: float) -> None:
    guard = gate()
    guard.rule(percept((0.0, 0.0)), plan(CALM))
    broken = CALM.clone()
    broken[0, 1, 1] = bad
    verdict, action = guard.rule(percept((0.0, 0.0)), plan(broken))
    vetoed(verdict, action, "not finite; fallback")
    assert verdict.predicted.item() == torch.inf
    assert verdict.guardrail.tolist() == [-1]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_percept_that_is_not_finite_is_vetoed(bad: float) -> None:
    verdict, action = gate().rule(percept((bad, 0.0)), plan(CALM))
    vetoed(verdict, action, "not finite; fallback")


@pytest.mark.parametrize(
    "shape", [(1, 2, 3), (2, 2, 2), (1, 0, 2), (1, 2), (2,), (), (1, 2, 2, 1)], ids=str
)
def test_a_plan_of_the_wrong_shape_is_vetoed(shape: tuple[int, ...]) -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(torch.zeros(shape)))
    vetoed(verdict, action, "plan has shape" if len(shape) > 1 else "the gate failed")


@pytest.mark.parametrize(
    ("seen", "made", "fault", "reason"),
    [
        (percept((0.0, 0.0)), None, "", "no plan"),
        (None, plan(CALM), "", "no plan"),
        (None, None, "", "no plan"),
        (percept((0.0, 0.0)), plan(CALM), "late: 61.0 ms, deadline 50.0 ms", "late: 61.0 ms"),
        (percept((0.0, 0.0), (0.0, 0.0)), None, "actor: lost", "actor: lost"),
    ],
)
def test_what_went_wrong_before_is_vetoed(seen: Any, made: Any, fault: str, reason: str) -> None:
    verdict, action = gate().rule(seen, made, fault)
    vetoed(verdict, action, reason)
    assert len(action.command) == (1 if seen is None else len(seen.latent))
    assert verdict.predicted.tolist() == [torch.inf] * len(action.command)


def test_a_broken_seal_is_vetoed() -> None:
    guard = gate()
    guard.guardrails._terms[0].limit = 99.0  # type: ignore[attr-defined]
    verdict, action = guard.rule(percept((0.0, 0.0)), plan(CALM))
    vetoed(verdict, action, "the guardrails' seal is broken")


def test_other_guardrails_behind_the_objective_are_vetoed() -> None:
    guard = gate()
    guard._objective._guardrails = Guardrails((Below(99.0),), Place())
    verdict, action = guard.rule(percept((0.0, 0.0)), plan(CALM))
    vetoed(verdict, action, "the guardrails' seal is broken")


def test_a_model_that_raises_is_vetoed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out\nof memory")

    monkeypatch.setattr(Adding, "imagine", broken)
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(CALM))
    vetoed(verdict, action, "the gate failed: RuntimeError: out of memory")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.complex64])
def test_a_plan_of_another_dtype_is_vetoed(dtype: torch.dtype) -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(torch.zeros(1, 2, 2, dtype=dtype)))
    vetoed(verdict, action, f"plan has {dtype}, not torch.float32")


class Fickle(torch.Tensor):
    """A tensor that may answer otherwise when asked again."""


def test_a_plan_that_could_answer_otherwise_when_asked_again_is_vetoed() -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(CALM.as_subclass(Fickle)))
    vetoed(verdict, action, "expected a plain tensor, came Fickle")


def test_what_was_found_broken_stays_broken_for_the_gates_to_come() -> None:
    guard = gate()
    guard._objective.guard = lambda state, actions: torch.zeros(1, 1, 1, 2)  # type: ignore
    guard.rule(percept((0.0, 0.0)), plan(CALM))
    del guard._objective.guard
    later = Gate(guard.guardrails, guard._objective, ACTUATORS, torch.zeros(2))
    vetoed(*later.rule(percept((0.0, 0.0)), plan(CALM)), "seal is broken")
    assert not guard.guardrails.verify()


def test_a_tick_without_percept_or_plan_is_one_veto_that_blames_no_guardrail() -> None:
    verdict, action = gate().rule(None, None)
    assert ruled(verdict) == [Ruling.VETOED]
    assert verdict.guardrail.tolist() == [-1]
    assert len(action.command) == 1


def test_both_watches_must_find_everything_in_place() -> None:
    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    fallback = torch.zeros(2)
    origin = origin_of(Gate, rails, objective, fallback)
    older = Gate(rails, objective, ACTUATORS, fallback, origin=origin)
    origin.intact = lambda: False  # type: ignore[method-assign]
    assert "not the one that was built" in older.rule(percept((0.0, 0.0)), plan(CALM))[0].reasons[0]


def test_a_percept_that_is_none_at_all_is_one_veto() -> None:
    verdict, action = gate().rule(Percept("?", "?", "?"), plan(CALM))  # type: ignore[arg-type]
    vetoed(verdict, action, "the gate failed")
    assert len(action.command) == 1


def test_another_seal_under_the_same_guardrails_is_vetoed() -> None:
    guard = gate()
    guard.guardrails.seal = "0" * 64
    vetoed(*guard.rule(percept((0.0, 0.0)), plan(CALM)), "the guardrails' seal is broken")


def test_without_guardrails_a_percept_that_is_no_numbers_is_vetoed() -> None:
    rails = Guardrails((), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    guard = Gate(rails, objective, ACTUATORS, torch.zeros(2))
    vetoed(*guard.rule(percept((torch.nan, torch.nan)), plan(CALM)), "not finite; fallback")


class Lazy(Adding):
    """A world model that answers for the first agent, plan or step alone."""

    def __init__(self, axis: int) -> None:
        """Leave out all but the first along this axis of latents [E B K H Z]."""
        self.axis = axis

    def imagine(self, *given: Any, **more: Any) -> Rollout:
        """Return too few futures, and say that no more were asked for."""
        made = super().imagine(*given, **more)
        latents = made.latents.narrow(self.axis, 0, 1)
        return Rollout(made.start, latents[0], latents, {})


@pytest.mark.parametrize("axis", [1, 3], ids=["agents", "steps"])
def test_a_model_that_leaves_out_futures_is_vetoed(axis: int) -> None:
    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Lazy(axis), Free(), rails)  # type: ignore[arg-type]
    guard = Gate(rails, objective, ACTUATORS, torch.zeros(2))
    both = plan(torch.cat((CALM, CALM + 0.5)))
    verdict, action = guard.rule(percept((0.0, 0.0), (0.0, 0.0)), both)
    vetoed(verdict, action, "expected values of [2, 1, 2] steps")
