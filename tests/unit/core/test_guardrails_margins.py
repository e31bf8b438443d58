"""Margins and values: what is added to a guardrail's value, and what counts as a violation."""

from __future__ import annotations

import pytest
import torch

from agent.core.errors import InputError
from agent.core.guardrails import Guardrails, violation
from agent.core.messages import Rollout
from tests.toys import Below, Place
from tests.unit.core.test_guardrails import rails, rollout


def test_values_are_worst_over_members_plus_margin() -> None:
    sealed = rails(margins=torch.tensor([[0.25, 0.5]]))
    latents = torch.tensor([[0.0, 0.5, 1.0], [0.5, 0.0, 1.0]])
    latents = torch.stack((latents, torch.zeros(2, 3)), dim=-1)[:, None, None]
    seen = Rollout(torch.zeros(1, 2), torch.zeros(1, 1, 3, 2), latents, {"place": latents})
    assert sealed.evaluate(seen).tolist() == [[[[-0.25, 0.0, 0.5]]]]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_violates(bad: float) -> None:
    values = rails().evaluate(rollout(0.0, bad, 0.0))
    assert values[0, 0, 0].tolist() == [-1.0, torch.inf, -1.0]
    assert violation(values).item() == torch.inf


def test_margins_go_on_beyond_their_horizon() -> None:
    sealed = rails(margins=torch.tensor([[0.1, 0.3]]))
    assert sealed.calibrated == 2
    assert torch.equal(sealed.margins(1), torch.tensor([[0.1]]))
    assert torch.equal(sealed.margins(4), torch.tensor([[0.1, 0.3, 0.3, 0.3]]))


@pytest.mark.parametrize(
    "margins",
    [
        torch.zeros(2, 3),
        torch.zeros(0, 3),
        torch.zeros(3),
        torch.zeros(1, 0),
        torch.tensor([[torch.nan]]),
    ],
)
def test_margins_that_do_not_fit_are_refused(margins: torch.Tensor) -> None:
    with pytest.raises(InputError, match="expected finite margins, 1 rows"):
        rails(margins=margins)


def test_violation_adds_up_positive_parts() -> None:
    values = torch.tensor([[[[-5.0, 0.5], [0.25, -1.0]]]])
    assert violation(values).tolist() == [[0.75]]


def test_margins_belong_to_guardrails_that_are_ever_realised() -> None:
    foreseen = Below(2.0, "foreseen")
    foreseen.realised = False  # type: ignore[attr-defined]
    given = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    rails = Guardrails((Below(1.0, "a"), foreseen, Below(3.0, "b")), Place(), given)
    assert torch.equal(rails.margins(2), torch.tensor([[0.1, 0.2], [0.0, 0.0], [0.3, 0.4]]))
    assert torch.equal(rails.measured(), given)
    assert rails.realised.tolist() == [True, False, True]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_margins_must_be_numbers_one_and_all(bad: float) -> None:
    with pytest.raises(InputError, match="expected finite margins"):
        Guardrails((Below(),), Place(), torch.tensor([[0.1, bad, 0.3]]))


def test_margins_may_be_for_one_step_and_are_for_one_without_any() -> None:
    assert Guardrails((Below(),), Place(), torch.tensor([[0.2]])).margins(2).tolist() == [
        pytest.approx([0.2, 0.2])
    ]
    assert Guardrails((Below(),), Place()).calibrated == 1


def test_margins_cannot_be_widened_by_nothing() -> None:
    with pytest.raises(ValueError, match="expected finite margins"):
        Guardrails((Below(),), Place()).widen(torch.zeros(1, 0))


def test_violation_adds_up_whatever_stands_before() -> None:
    values = torch.tensor([[0.5, 1.0], [-1.0, 2.0]])
    assert violation(values).item() == 3.5
    assert violation(values.expand(3, 2, 2)).tolist() == [3.5] * 3


@pytest.mark.parametrize("bad", [-0.1, torch.nan, torch.inf])
@pytest.mark.parametrize("step", [0, 1])
def test_one_number_is_enough_to_refuse_what_would_be_added(bad: float, step: int) -> None:
    more = torch.full((1, 2), 0.1)
    more[0, step] = bad
    sealed = rails()
    with pytest.raises(ValueError, match="expected finite margins >= 0"):
        sealed.widen(more)
    assert sealed.verify()


def test_nothing_may_be_added_and_what_is_added_comes_on_top() -> None:
    sealed = rails(margins=torch.tensor([[0.25, 0.5]]))
    sealed.widen(torch.zeros(1, 2))
    assert sealed.margins(2).tolist() == [[0.25, 0.5]]
    sealed.widen(torch.tensor([[0.5]]))
    assert sealed.margins(3).tolist() == [[0.75, 1.0, 1.0]]
    assert sealed.sealed_margins(3).tolist() == [[0.25, 0.5, 0.5]]
    assert sealed.verify()
