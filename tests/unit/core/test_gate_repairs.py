"""What goes out in place of a plan that breaks a guardrail."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.messages import Ruling
from tests.toys import Adding, Below, gate, percept, plan, steps
from tests.unit.core.test_gate import ASTRAY, CALM, FURTHER, RASH, repaired, ruled, vetoed


def test_an_unsafe_plan_without_another_is_vetoed() -> None:
    verdict, action = gate().rule(percept(ASTRAY), plan(FURTHER))
    vetoed(verdict, action, "below; fallback")
    assert verdict.predicted.item() == pytest.approx(1.6)
    assert verdict.guardrail.tolist() == [0]
    assert verdict.ahead.tolist() == [[torch.inf]]


def test_a_plan_is_followed_as_far_as_it_is_safe() -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(RASH))
    repaired(verdict, "below; cut short")
    assert torch.equal(action.command, RASH[:, 0])
    assert verdict.predicted.item() == pytest.approx(0.1)
    assert verdict.guardrail.tolist() == [0]
    assert verdict.ahead.tolist() == [[pytest.approx(-0.8)]]


def test_the_last_step_of_a_plan_counts_as_much_as_the_first() -> None:
    long = torch.cat((torch.zeros(1, 11, 2), steps((1.0, 0.0), (0.5, 0.0))), dim=1)
    verdict, _ = gate().rule(percept((0.0, 0.0)), plan(long))
    repaired(verdict, "below; bent")
    assert verdict.predicted.item() == pytest.approx(0.5)


def test_where_the_first_command_is_unsafe_it_is_bent_no_more_than_it_must_be() -> None:
    verdict, action = gate().rule(percept((0.7, 0.0)), plan(steps((0.5, 0.4), (0.0, 0.0))))
    repaired(verdict, "below; bent")
    assert action.command.tolist() == [[0.25, pytest.approx(0.2)]]
    verdict, action = gate().rule(percept((0.7, 0.0)), plan(steps((0.4, 0.4), (0.0, 0.0))))
    assert action.command.tolist() == [[pytest.approx(0.3), pytest.approx(0.3)]]


SLOW, FAST = steps((0.05, 0.0), (0.05, 0.0)), steps((1.0, 0.0), (0.0, 0.0))


def test_the_plan_kept_from_the_last_tick_takes_over() -> None:
    guard = gate()
    guard.rule(percept((0.8, 0.0)), plan(SLOW))
    verdict, action = guard.rule(percept((0.85, 0.0)), plan(FAST))
    repaired(verdict, "below; kept plan")
    assert torch.equal(action.command, SLOW[:, 1])
    assert verdict.ahead.tolist() == [[pytest.approx(-0.1)]]
    verdict, action = guard.rule(percept((0.9, 0.0)), plan(FAST))
    repaired(verdict, "below; kept plan")
    assert action.command.tolist() == [[0.0, 0.0]]


def test_a_kept_plan_that_has_become_unsafe_gives_way_to_braking() -> None:
    guard = gate()
    guard.rule(percept((0.8, 0.0)), plan(SLOW))
    verdict, action = guard.rule(percept((0.97, 0.0)), plan(FAST))
    repaired(verdict, "below; braking")
    assert action.command.tolist() == [[pytest.approx(0.025), 0.0]]
    guard.reset()
    verdict, action = guard.rule(percept((1.0, 0.0)), plan(FAST))
    repaired(verdict, "below; braking")
    assert action.command.tolist() == [[0.0, 0.0]]


def test_a_repair_costs_one_call_of_imagination(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    honest = Adding.imagine

    def counted(self: Adding, state: Any, actions: Any, latent: Any = None) -> Any:
        calls.append(actions.shape[1])
        return honest(self, state, actions, latent)

    monkeypatch.setattr(Adding, "imagine", counted)
    guard = gate()
    guard.rule(percept((0.0, 0.0)), plan(CALM))
    assert calls == [1]
    for made in (RASH, RASH * 100, FURTHER):
        calls.clear()
        guard.rule(percept(ASTRAY), plan(made))
        assert len(calls) == 2
        assert calls[1] <= 16


def test_a_gate_of_another_level_judges_that_level() -> None:
    """Two levels with commands and limits of their own: neither knows the other is there."""
    upper, lower = gate(Below(5.0)), gate(Below(1.0))
    far = torch.cat((FURTHER, FURTHER), dim=1)
    for _ in range(2):
        assert ruled(upper.rule(percept(ASTRAY), plan(far))[0]) == [Ruling.ALLOWED]
        assert ruled(lower.rule(percept(ASTRAY), plan(FURTHER))[0]) == [Ruling.VETOED]


def test_a_body_that_has_strayed_may_come_back() -> None:
    back, further = steps((-0.5, 0.0), (-0.5, 0.0)), steps((0.5, 0.0), (0.5, 0.0))
    verdict, action = gate().rule(percept((1.6, 0.0)), plan(back))
    assert ruled(verdict) == [Ruling.REPAIRED]
    assert action.command.tolist() == [[-0.5, 0.0]]
    assert verdict.reasons == ("below; less than the fallback would",)
    assert verdict.predicted.item() == pytest.approx(0.1)
    verdict, action = gate().rule(percept((1.6, 0.0)), plan(further))
    vetoed(verdict, action, "below; fallback")
    verdict, action = gate().rule(percept((1.6, 0.0)), plan(torch.zeros_like(back)))
    vetoed(verdict, action, "below; fallback")


def test_a_kept_plan_does_not_outlive_its_episode() -> None:
    guard = gate()
    guard.rule(percept((0.8, 0.0)), plan(SLOW))
    guard.reset()
    verdict, _ = guard.rule(percept((0.85, 0.0)), plan(FAST))
    repaired(verdict, "below; braking")


def test_a_kept_plan_does_not_outlive_a_fault() -> None:
    guard = gate()
    guard.rule(percept((0.8, 0.0)), plan(SLOW))
    guard.rule(percept((0.8, 0.0)), None, "actor: ValueError: lost")
    verdict, _ = guard.rule(percept((0.85, 0.0)), plan(FAST))
    repaired(verdict, "below; braking")


def test_a_kept_plan_of_another_length_is_not_used() -> None:
    guard = gate()
    guard.rule(percept((0.8, 0.0)), plan(SLOW))
    longer = torch.cat((FAST, FAST), dim=1)
    verdict, _ = guard.rule(percept((0.85, 0.0)), plan(longer))
    repaired(verdict, "below; braking")
