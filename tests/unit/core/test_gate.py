"""The gate: what goes out of plans that can be judged."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.errors import InputError
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Action, Ruling, Verdict
from agent.core.objective import GuardedObjective
from tests.toys import ACTUATORS, Adding, Below, Free, Place, gate, percept, plan, steps

CALM = steps((0.2, 0.1), (0.3, 0.1))
RASH = steps((0.2, 0.1), (0.9, 0.1))
ASTRAY, FURTHER = (1.6, 0.0), steps((0.5, 0.0), (0.5, 0.0))
"""From there every plan begins in violation, and this one makes it worse."""


def ruled(verdict: Verdict) -> list[Ruling]:
    return [Ruling(r) for r in verdict.ruling.tolist()]


def vetoed(verdict: Verdict, action: Action, reason: str) -> None:
    assert set(ruled(verdict)) == {Ruling.VETOED}
    assert torch.equal(action.command, torch.zeros_like(action.command))
    assert all(reason in r for r in verdict.reasons), verdict.reasons
    assert len(verdict.reasons) == len(verdict.ruling)


def test_a_safe_plan_goes_out() -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(CALM))
    assert ruled(verdict) == [Ruling.ALLOWED]
    assert torch.equal(action.command, CALM[:, 0])
    assert verdict.predicted.item() == pytest.approx(-0.5)
    assert verdict.ahead.tolist() == [[pytest.approx(-0.8)]]
    assert verdict.guardrail.tolist() == [-1]
    assert verdict.reasons == ()


def test_what_the_body_cannot_do_is_clamped() -> None:
    wild = steps((-9.0, 9.0), (0.0, 0.0))
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(wild))
    assert ruled(verdict) == [Ruling.REPAIRED]
    assert action.command.tolist() == [[-1.0, 0.5]]
    assert verdict.reasons == ("outside actuator limits; clamped",)


def test_guardrails_judge_what_would_really_go_out() -> None:
    wild = steps((9.0, 0.0), (-9.0, 0.0))
    verdict, action = gate(Below(1.5)).rule(percept((0.0, 0.0)), plan(wild))
    assert ruled(verdict) == [Ruling.REPAIRED]
    assert verdict.predicted.item() == pytest.approx(-0.5)
    assert action.command.tolist() == [[1.0, 0.0]]


def repaired(verdict: Verdict, reason: str) -> None:
    assert ruled(verdict) == [Ruling.REPAIRED]
    assert verdict.reasons == (reason,)


def test_margins_are_part_of_the_limit() -> None:
    tight = gate(margins=torch.tensor([[0.0, 0.6]]))
    verdict, _ = tight.rule(percept((0.0, 0.0)), plan(CALM))
    repaired(verdict, "below; cut short")
    assert verdict.predicted.item() == pytest.approx(0.1)
    assert verdict.margin.item() == pytest.approx(0.6)


def test_what_comes_after_a_short_plan_is_judged_too() -> None:
    drifting = {"margins": torch.zeros(1, 4), "fallback": (0.3, 0.0)}
    short, whole = plan(steps((0.2, 0.0))), plan(steps((0.2, 0.0), *[(0.0, 0.0)] * 3))
    verdict, _ = gate(**drifting).rule(percept((0.0, 0.0)), short)
    assert ruled(verdict) != [Ruling.ALLOWED]
    assert verdict.reasons[0].startswith("below")
    verdict, action = gate(**drifting).rule(percept((0.0, 0.0)), whole)
    assert ruled(verdict) == [Ruling.ALLOWED]
    assert action.command[0].tolist() == pytest.approx([0.2, 0.0])


def test_the_verdict_names_the_guardrail_that_is_worst() -> None:
    guard = gate(Below(0.45, "loose"), Below(0.1, "strict"))
    verdict, _ = guard.rule(percept((0.0, 0.0)), plan(CALM))
    assert verdict.guardrail.tolist() == [1]
    assert verdict.reasons == ("strict; braking",)


def test_agents_are_judged_one_by_one() -> None:
    guard = gate()
    seen = percept((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    guard.rule(seen, plan(torch.cat((CALM, CALM, CALM, RASH))))
    wild = steps((-9.0, 0.0), (0.0, 0.0))
    broken = CALM * torch.nan
    verdict, action = guard.rule(seen, plan(torch.cat((CALM, RASH + 0.4, wild, broken))))
    assert ruled(verdict) == [Ruling.ALLOWED, Ruling.REPAIRED, Ruling.REPAIRED, Ruling.VETOED]
    assert torch.equal(action.command[0], CALM[0, 0])
    assert action.command[1].tolist() == [pytest.approx(0.6), pytest.approx(0.5)]
    assert action.command[2:].tolist() == [[-1.0, 0.0], [0.0, 0.0]]
    assert verdict.reasons == (
        "",
        "below; cut short",
        "outside actuator limits; clamped",
        "plan or percept not finite; fallback",
    )


def test_the_plan_is_not_touched() -> None:
    wild = steps((-9.0, 9.0), (0.0, 0.0))
    before = wild.clone()
    _, action = gate().rule(percept((0.0, 0.0)), plan(wild))
    action.command.fill_(7.0)
    assert torch.equal(wild, before)


def test_a_plan_edited_while_it_is_judged_goes_out_as_it_was_judged() -> None:
    posted = CALM.clone()

    class Editing(Adding):
        """A world model that spoils the posted plan once it has imagined it."""

        def imagine(self, *given: Any, **more: Any) -> Any:
            made = super().imagine(*given, **more)
            posted.fill_(9.0)
            return made

    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Editing(), Free(), rails)  # type: ignore[arg-type]
    guard = Gate(rails, objective, ACTUATORS, torch.zeros(2))
    verdict, action = guard.rule(percept((0.0, 0.0)), plan(posted))
    assert ruled(verdict) == [Ruling.ALLOWED]
    assert torch.equal(action.command, CALM[:, 0])
    assert guard._kept is not None
    assert torch.equal(guard._kept, CALM)


def test_a_command_sent_cannot_spoil_the_fallback() -> None:
    guard = gate()
    _, action = guard.rule(None, None)
    action.command.fill_(7.0)
    _, action = guard.rule(None, None)
    assert action.command.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("fallback", "complaint"),
    [
        ((0.0,), "expected 2 numbers"),
        ((0.0, 0.0, 0.0), "expected 2 numbers"),
        ((0.0, 0.6), "expected commands within"),
        ((torch.nan, 0.0), "expected commands within"),
    ],
)
def test_a_fallback_the_body_cannot_follow_is_refused(
    fallback: tuple[float, ...], complaint: str
) -> None:
    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"gate.fallback: {complaint}"):
        Gate(rails, objective, ACTUATORS, torch.tensor(fallback))


def test_without_guardrails_limits_and_finiteness_still_hold() -> None:
    rails = Guardrails((), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    guard = Gate(rails, objective, ACTUATORS, torch.zeros(2))
    verdict, action = guard.rule(percept((50.0, 0.0)), plan(RASH * 100))
    assert ruled(verdict) == [Ruling.REPAIRED]
    assert action.command.tolist() == [[1.0, 0.5]]
    verdict, action = guard.rule(percept((50.0, 0.0)), plan(RASH * torch.nan))
    vetoed(verdict, action, "not finite")


def test_a_percept_edited_after_it_was_perceived_changes_no_judgement() -> None:
    guard, seen = gate(), percept((0.9, 0.0))
    guard.look(seen)
    seen.latent.zero_()
    verdict, _ = guard.rule(seen, plan(CALM))
    assert ruled(verdict) != [Ruling.ALLOWED]


def test_the_fallback_may_be_the_most_that_the_body_can_do() -> None:
    for edge in ACTUATORS.bounds():
        guard = gate(fallback=tuple(edge.tolist()))
        _, action = guard.rule(None, None)
        assert action.command.tolist() == [edge.tolist()]


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_plan_is_continued_to_the_step_that_margins_reach(length: int) -> None:
    guard = gate(margins=torch.zeros(1, 4), fallback=(0.3, 0.0))
    still = plan(steps(*[(0.0, 0.0)] * length))
    near = percept((1.0 - 0.3 * (4 - length) + 0.1, 0.0))
    far = percept((1.0 - 0.3 * (4 - length) - 0.1, 0.0))
    assert ruled(guard.rule(far, still)[0]) == [Ruling.ALLOWED]
    assert ruled(guard.rule(near, still)[0]) != [Ruling.ALLOWED]
