"""The gate: every way a tick can go ends in a command the body can follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import InputError
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Action, Percept, Ruling, Verdict
from agent.core.objective import GuardedObjective
from agent.core.origin import origin_of
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
    vetoed(verdict, action, "")
    assert verdict.reasons[0]


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
    vetoed(verdict, action, "seal")


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


class Fickle(torch.Tensor):
    """A tensor that may answer otherwise when asked again."""


def test_a_plan_that_could_answer_otherwise_when_asked_again_is_vetoed() -> None:
    verdict, action = gate().rule(percept((0.0, 0.0)), plan(CALM.as_subclass(Fickle)))
    vetoed(verdict, action, "expected a plain tensor, came Fickle")


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


floats = st.floats(width=32, allow_nan=True, allow_infinity=True)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64])
garbage = st.one_of(
    st.none(),
    st.text(),
    st.integers(),
    st.tuples(st.lists(st.integers(0, 3), max_size=4), floats, dtypes).map(
        lambda drawn: torch.full(
            drawn[0], drawn[1] if drawn[2].is_floating_point else 1, dtype=drawn[2]
        )
    ),
    st.lists(floats, min_size=4, max_size=4).map(lambda v: torch.tensor(v).reshape(1, 2, 2)),
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    latent=garbage, actions=garbage, fault=st.sampled_from(["", "", "", "late"]), warm=st.booleans()
)
def test_whatever_comes_something_safe_goes_out(
    latent: Any, actions: Any, fault: str, warm: bool
) -> None:
    guard = gate()
    if warm:
        guard.rule(percept((0.0, 0.0)), plan(CALM))
    verdict, action = guard.rule(Percept(latent, latent, latent), plan(actions), fault)
    low, high = ACTUATORS.bounds()
    assert action.command.dtype == torch.float32
    assert action.command.ndim == 2
    assert bool(((action.command >= low) & (action.command <= high)).all())
    assert set(verdict.ruling.tolist()) <= {0, 1, 2}
    assert len(verdict.ruling) == len(action.command)
    after, _ = guard.rule(percept((0.0, 0.0)), plan(CALM))
    assert ruled(after) == [Ruling.ALLOWED]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    place=st.floats(-3, 3, width=32),
    moves=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6),
)
def test_what_goes_out_keeps_the_limit_or_is_the_fallback(place: float, moves: list[float]) -> None:
    actions = torch.tensor([[m, 0.0] for m in moves])[None]
    verdict, action = gate().rule(percept((place, 0.0)), plan(actions))
    path = place + actions[0, :, 0].clamp(-1.0, 1.0).cumsum(dim=0)
    first, reason = action.command[0, 0].item(), "".join(verdict.reasons)
    if ruled(verdict) == [Ruling.VETOED]:
        assert place > 1.0 - 1e-5
        assert action.command.tolist() == [[0.0, 0.0]]
    elif "less than the fallback would" in reason:
        assert place > 1.0 - 1e-5
        assert abs(first) <= abs(moves[0])
    elif "outside" in reason or not reason:
        assert float(path.max()) <= 1.0 + 1e-5
        assert first == min(max(moves[0], -1.0), 1.0)
    else:
        assert float(path.max()) > 1.0 - 1e-5
        assert place + first <= 1.0 + 1e-5
        assert abs(first) <= abs(moves[0])


def test_a_percept_edited_after_it_was_perceived_changes_no_judgement() -> None:
    guard, seen = gate(), percept((0.9, 0.0))
    guard.look(seen)
    seen.latent.zero_()
    verdict, _ = guard.rule(seen, plan(CALM))
    assert ruled(verdict) != [Ruling.ALLOWED]


def test_what_was_found_broken_stays_broken_for_the_gates_to_come() -> None:
    guard = gate()
    guard._objective.guard = lambda state, actions: torch.zeros(1, 1, 1, 2)  # type: ignore
    guard.rule(percept((0.0, 0.0)), plan(CALM))
    del guard._objective.guard
    later = Gate(guard.guardrails, guard._objective, ACTUATORS, torch.zeros(2))
    vetoed(*later.rule(percept((0.0, 0.0)), plan(CALM)), "seal is broken")
    assert not guard.guardrails.verify()


def test_the_fallback_may_be_the_most_that_the_body_can_do() -> None:
    for edge in ACTUATORS.bounds():
        guard = gate(fallback=tuple(edge.tolist()))
        _, action = guard.rule(None, None)
        assert action.command.tolist() == [edge.tolist()]


def test_a_tick_without_percept_or_plan_is_one_veto_that_blames_no_guardrail() -> None:
    verdict, action = gate().rule(None, None)
    assert ruled(verdict) == [Ruling.VETOED]
    assert verdict.guardrail.tolist() == [-1]
    assert len(action.command) == 1


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_plan_is_continued_to_the_step_that_margins_reach(length: int) -> None:
    guard = gate(margins=torch.zeros(1, 4), fallback=(0.3, 0.0))
    still = plan(steps(*[(0.0, 0.0)] * length))
    near = percept((1.0 - 0.3 * (4 - length) + 0.1, 0.0))
    far = percept((1.0 - 0.3 * (4 - length) - 0.1, 0.0))
    assert ruled(guard.rule(far, still)[0]) == [Ruling.ALLOWED]
    assert ruled(guard.rule(near, still)[0]) != [Ruling.ALLOWED]


def test_both_watches_must_find_everything_in_place() -> None:
    rails = Guardrails((Below(),), Place())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    fallback = torch.zeros(2)
    origin = origin_of(Gate, rails, objective, fallback)
    older = Gate(rails, objective, ACTUATORS, fallback, origin=origin)
    origin.intact = lambda: False  # type: ignore[method-assign]
    assert "not the one that was built" in older.rule(percept((0.0, 0.0)), plan(CALM))[0].reasons[0]
