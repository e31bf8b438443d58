"""Margins that adapt: wider where forecasts fall short, back again after, never below the sealed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agent.core.adaptive import AdaptiveMargins
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Action, Ruling
from agent.core.objective import GuardedObjective
from tests.toys import ACTUATORS, Adding, Below, Free, Place, gate, percept, plan, steps

SEALED = torch.tensor([[0.05, 0.1]])


def adapting(alpha: float = 0.1, pace: float = 0.1) -> tuple[AdaptiveMargins, Guardrails]:
    rails = Guardrails((Below(),), Place(), SEALED)
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    return AdaptiveMargins(rails, objective, 2, alpha, pace), rails


def drift(adaptive: AdaptiveMargins, size: Tensor, place: float = 0.0) -> float:
    """Live ticks in which the world moves by `size` [T] more than the model foresees."""
    for extra in size.tolist():
        adaptive.see(torch.tensor([[place, 0.0]]))
        adaptive.sent(torch.zeros(1, 2))
        place += extra
    return place


def test_what_is_foreseen_well_changes_nothing() -> None:
    adaptive, rails = adapting()
    drift(adaptive, torch.zeros(50))
    assert torch.equal(rails.margins(2), SEALED)
    assert adaptive.forecasts == 48
    assert adaptive.coverage() == {"below": {"achieved": 1.0, "sealed": 1.0, "widest": 0.0}}


def test_margins_widen_to_the_promise_and_come_back() -> None:
    adaptive, rails = adapting()
    noise = torch.rand(1500, generator=torch.Generator().manual_seed(0))
    place = drift(adaptive, noise)
    found = adaptive.coverage()["below"]
    assert found["achieved"] == pytest.approx(0.9, abs=0.02)
    assert found["sealed"] < 0.2
    one, two = rails.margins(2)[0].tolist()
    assert one == pytest.approx(0.9, abs=0.12), "the 90 % quantile of one tick's error"
    assert two > one, "errors of two ticks add up"
    drift(adaptive, torch.zeros(200), place)
    assert torch.equal(rails.margins(2), SEALED), "never below the sealed ones"
    assert rails.verify()


def test_it_compares_with_the_commands_that_went_out() -> None:
    adaptive, rails = adapting()
    place = 0.0
    for command in (0.5, -1.0, 0.25, 0.5, 0.25):
        adaptive.see(torch.tensor([[place, 0.0]]))
        adaptive.sent(torch.tensor([[command, 0.0]]))
        place += command
    assert adaptive.forecasts == 3
    assert torch.equal(rails.margins(2), SEALED)


def test_forecasts_do_not_reach_across_gaps() -> None:
    adaptive, rails = adapting()
    for place in (0.0, 9.0, 0.0, 9.0, 0.0, 9.0):
        adaptive.see(torch.tensor([[place, 0.0]]))
        adaptive.sent(torch.zeros(1, 2))
        adaptive.sent(torch.zeros(1, 2))  # a tick in which nothing was perceived
    assert adaptive.forecasts == 0
    adaptive.begin()
    assert adaptive.coverage() == {}
    assert torch.equal(rails.margins(2), SEALED)


def test_what_is_not_finite_counts_as_missed() -> None:
    adaptive, rails = adapting()
    drift(adaptive, torch.tensor([0.2] * 4 + [torch.nan] * 3))
    assert adaptive.coverage()["below"]["achieved"] < 1.0
    assert bool(rails.margins(2).isfinite().all())


@pytest.mark.parametrize(
    "more", [-0.01 * torch.ones(1, 2), torch.full((1, 2), torch.nan), torch.zeros(2, 2)]
)
def test_sealed_margins_are_the_least(more: Tensor) -> None:
    _, rails = adapting()
    with pytest.raises(ValueError, match="expected finite margins >= 0"):
        rails.widen(more)


def test_a_widened_margin_binds_the_planner_and_the_gate_alike() -> None:
    adaptive, rails = adapting()
    stands = Gate(rails, adaptive._objective, ACTUATORS, torch.zeros(2))
    stands.adapt(adaptive)
    near = steps((0.5, 0.0), *[(0.0, 0.0)] * (rails.calibrated - 1))
    assert stands.rule(percept((0.0, 0.0)), plan(near))[0].ruling.item() == Ruling.ALLOWED
    stands.sent(Action(torch.zeros(1, 2)))
    for tick in range(40):
        stands.rule(percept((0.7 * tick, 0.0)), plan(0 * near))
        stands.sent(Action(torch.zeros(1, 2)))
    verdict, _ = stands.rule(percept((0.0, 0.0)), plan(near))
    assert verdict.ruling.item() != Ruling.ALLOWED
    assert verdict.margin.item() > 0.5
    asked = adaptive._objective.guard(torch.zeros(1, 2), near[:, None])
    assert asked.max().item() == verdict.predicted.item()


def test_forecasts_do_not_reach_from_one_episode_into_the_next() -> None:
    adaptive, rails = adapting()
    stands = Gate(rails, adaptive._objective, ACTUATORS, torch.zeros(2))
    stands.adapt(adaptive)
    for _ in range(5):
        stands.reset()
        for place in (0.0, 0.1):  # as many percepts as a forecast is long, and no more
            stands.rule(percept((place, 0.0)), plan(steps((0.0, 0.0), (0.0, 0.0))))
            stands.sent(Action(torch.zeros(1, 2)))
    assert adaptive.forecasts == 0


def test_others_cannot_widen_unseen() -> None:
    stands = gate(margins=torch.zeros(1, 1))
    where = percept((0.0, 0.0))
    assert stands.rule(where, plan(steps((0.0, 0.0))))[0].ruling.item() == Ruling.ALLOWED
    stands.guardrails.widen(torch.ones(1, 1))
    verdict, _ = stands.rule(where, plan(steps((0.0, 0.0))))
    assert verdict.reasons == ("the guardrails' seal is broken",)


def test_writing_what_was_added_breaks_the_seal() -> None:
    adaptive, rails = adapting()
    drift(adaptive, torch.rand(20, generator=torch.Generator().manual_seed(0)))
    assert rails.verify()
    for forged in (torch.zeros_like(rails._wider), None):  # type: ignore[arg-type]
        rails._wider, kept = forged, rails._wider
        assert not rails.verify()
        rails._wider = kept
    rails._wider.zero_()  # type: ignore[union-attr]
    assert not rails.verify()
