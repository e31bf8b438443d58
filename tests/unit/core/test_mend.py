"""What goes out where some plan may not: agent by agent, and what the verdict says of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.mend import margin_of, worst_of
from agent.core.messages import Ruling
from agent.core.objective import GuardedObjective
from tests.toys import ACTUATORS, Adding, Below, Free, Place, gate, percept, plan

STAY, RUN, LOST = [(0.1, 0.0)] * 2, [(0.1, 0.0), (0.9, 0.0)], [(0.1, 0.0), (torch.nan, 0.0)]
ORIGIN = (0.0, 0.0)


def test_each_agent_gets_what_is_due_to_it() -> None:
    moves = torch.tensor([STAY, RUN, LOST, STAY])
    made = replace(plan(moves), reasons=("", "", "", "late"))
    verdict, action = gate(Below(0.5)).rule(percept(*[ORIGIN] * 4), made)
    assert verdict.ruling.tolist() == [
        Ruling.ALLOWED, Ruling.REPAIRED, Ruling.VETOED, Ruling.VETOED,
    ]  # fmt: skip
    assert verdict.guardrail.tolist() == [-1, 0, -1, -1]
    assert verdict.reasons[0] == ""
    assert verdict.reasons[1].startswith("below; ")
    assert verdict.reasons[2].startswith("plan or percept not finite")
    assert verdict.reasons[3].startswith("late")
    assert action.command[2:].tolist() == [[0.0, 0.0]] * 2
    assert torch.isinf(verdict.ahead[2:]).all()
    assert verdict.predicted[2:].tolist() == [torch.inf, torch.inf]


def test_what_is_told_of_the_first_step_is_of_what_goes_out() -> None:
    moves = torch.tensor([[(0.2, 0.0), (0.9, 0.0)], [(0.9, 0.0), (0.9, 0.0)]])
    verdict, action = gate(Below(0.5)).rule(percept(ORIGIN, ORIGIN), plan(moves))
    assert verdict.ruling.tolist() == [Ruling.REPAIRED] * 2
    assert verdict.ahead[:, 0].tolist() == pytest.approx((action.command[:, 0] - 0.5).tolist())


def test_a_clamped_plan_at_its_limit_blames_nobody() -> None:
    verdict, _ = gate(Below(1.0)).rule(percept(ORIGIN), plan(torch.tensor([[(5.0, 0.0)]])))
    assert verdict.guardrail.tolist() == [-1]
    assert verdict.predicted.tolist() == [0.0]


@pytest.mark.parametrize("broken", [0, 1])
def test_one_broken_guardrail_of_two_is_enough(broken: int) -> None:
    limits = [0.5 if index == broken else 9.0 for index in range(2)]
    guard = gate(*(Below(limit, f"wall {i}") for i, limit in enumerate(limits)))
    verdict, _ = guard.rule(percept(ORIGIN), plan(torch.tensor([RUN])))
    assert verdict.ruling.tolist() != [Ruling.ALLOWED]
    assert verdict.guardrail.tolist() == [broken]


def test_without_guardrails_nothing_is_predicted_or_blamed() -> None:
    rails = Guardrails((), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    guard = Gate(rails, objective, ACTUATORS, torch.zeros(2))
    verdict, action = guard.rule(percept(ORIGIN), plan(torch.tensor([[(5.0, 0.0)]])))
    assert verdict.ruling.tolist() == [Ruling.REPAIRED]
    assert verdict.predicted.tolist() == [-torch.inf]
    assert verdict.guardrail.tolist() == [-1]
    assert verdict.margin.tolist() == [0.0]
    assert action.command.tolist() == [[1.0, 0.0]]
    worst, which = worst_of(torch.zeros(3, 0, 2))
    assert worst.tolist() == [-torch.inf] * 3
    assert which.tolist() == [-1] * 3


def test_the_worst_value_and_its_margin_are_found_wherever_they_are() -> None:
    rails = Guardrails((Below(1.0, "a"), Below(2.0, "b")), Place(), torch.tensor(
        [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))  # fmt: skip
    for guardrail in range(2):
        for step in range(3):
            values = torch.full((2, 2, 3), -5.0)
            values[0, guardrail, step], values[1, 0, 0] = 3.0, -4.0
            worst, which = worst_of(values)
            assert worst.tolist() == [3.0, -4.0]
            assert which.tolist() == [guardrail, 0]
            margin = margin_of(rails, which, values)
            assert margin.tolist() == pytest.approx([0.1 + 0.3 * guardrail + 0.1 * step, 0.1])


@pytest.mark.parametrize("bad", [(0.9, 0.0), (0.1, 5.0), (torch.nan, 0.0)])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_one_bad_plan_among_good_ones_does_not_go_out(bad: tuple[float, float], row: int) -> None:
    moves = torch.full((3, 2, 2), 0.1)
    moves[row, 1] = torch.tensor(bad)  # at its last step alone
    verdict, action = gate(Below(0.5)).rule(percept(*[(0.0, 0.0)] * 3), plan(moves))
    fine = [ruling == Ruling.ALLOWED for ruling in verdict.ruling.tolist()]
    assert fine == [index != row for index in range(3)]
    assert bool(torch.isfinite(action.command).all())


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("place", [(torch.nan, 0.0), (0.0, torch.inf)])
def test_one_agent_that_sees_no_numbers_is_vetoed(row: int, place: tuple[float, float]) -> None:
    places = [(0.0, 0.0), (0.0, 0.0)]
    places[row] = place
    verdict, _ = gate().rule(percept(*places), plan(torch.full((2, 2, 2), 0.1)))
    assert verdict.ruling.tolist()[row] == Ruling.VETOED
    assert verdict.ruling.tolist()[1 - row] == Ruling.ALLOWED


def test_a_clamped_plan_that_just_keeps_the_limit_goes_out() -> None:
    verdict, action = gate(Below(1.0)).rule(percept(ORIGIN), plan(torch.tensor([[(5.0, 0.0)]])))
    assert verdict.ruling.tolist() == [Ruling.REPAIRED]
    assert action.command.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("number", [0, 1])
def test_one_number_that_is_none_is_a_plan_that_is_none(step: int, number: int) -> None:
    moves = torch.zeros(1, 3, 2)
    moves[0, step, number] = torch.nan
    verdict, _ = gate().rule(percept(ORIGIN), plan(moves))
    assert verdict.ruling.tolist() == [Ruling.VETOED]
    assert verdict.reasons == ("plan or percept not finite; fallback",)


def test_what_is_told_of_a_clamped_plan_is_its_first_step() -> None:
    moves = torch.tensor([[(-5.0, 0.0), (0.5, 0.0), (0.5, 0.0)]])
    verdict, _ = gate(Below(0.5)).rule(percept(ORIGIN), plan(moves))
    assert verdict.ahead.tolist() == [[-1.5]]


@pytest.mark.parametrize("moves", [[(5.0, 0.0)] * 2, [(torch.nan, 0.0)] * 2])
def test_where_nothing_is_to_be_repaired_nothing_more_is_imagined(
    moves: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, honest = [], Adding.imagine
    monkeypatch.setattr(Adding, "imagine", lambda *given: calls.append(1) or honest(*given))
    gate(Below(5.0)).rule(percept(ORIGIN, ORIGIN), plan(torch.tensor([STAY, moves])))
    assert len(calls) == 1


def test_of_two_bends_the_nearer_one_in_shares_of_what_the_body_can_do_is_taken() -> None:
    guard = gate()
    guard.rule(percept(ORIGIN), plan(torch.tensor([[(0.0, 0.0), (0.7, 0.4)]])))
    verdict, action = guard.rule(
        percept((0.21, 0.0)), plan(torch.tensor([[(0.8, 0.4), (0.0, 0.0)]]))
    )
    assert verdict.reasons == ("below; bent",)
    assert action.command.tolist() == [[pytest.approx(0.775), pytest.approx(0.4)]]


@pytest.mark.parametrize("refused", [("late",), ("",), ("", "", "late")], ids=str)
def test_reasons_that_are_not_one_for_each_agent_let_nothing_out(refused: tuple[str, ...]) -> None:
    made = replace(plan(torch.tensor([STAY, RUN])), reasons=refused)
    verdict, action = gate(Below(0.5)).rule(percept(ORIGIN, ORIGIN), made)
    assert verdict.ruling.tolist() == [Ruling.VETOED] * 2
    assert len(verdict.reasons) == 2
    assert not action.command.any()
