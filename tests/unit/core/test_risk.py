"""Attitudes to risk against their closed forms and limits."""

from __future__ import annotations

import math

import pytest
import torch

from agent.core.errors import InputError
from agent.core.messages import Risk
from agent.core.risk import KINDS, aggregate

ENERGIES = torch.tensor([[1.0, -2.0], [3.0, 0.0], [2.0, 7.0], [6.0, 1.0]])


@pytest.mark.parametrize(
    ("risk", "expected"),
    [
        (Risk("mean"), [3.0, 1.5]),
        (Risk("worst"), [6.0, 7.0]),
        (Risk("cvar", 0.5), [4.5, 4.0]),
        (Risk("cvar", 0.25), [6.0, 7.0]),
        (Risk("cvar", 0.26), [4.5, 4.0]),
        (Risk("cvar", 1.0), [3.0, 1.5]),
        (Risk("cvar", 0.01), [6.0, 7.0]),
    ],
)
def test_closed_forms(risk: Risk, expected: list[float]) -> None:
    assert aggregate(ENERGIES, risk).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_free_energy_is_its_formula(alpha: float) -> None:
    for column, value in zip(
        ENERGIES.T.tolist(), aggregate(ENERGIES, Risk("free_energy", alpha)), strict=True
    ):
        plain = alpha * math.log(sum(math.exp(e / alpha) for e in column) / len(column))
        assert float(value) == pytest.approx(plain, rel=1e-5)


def test_free_energy_lies_between_mean_and_worst() -> None:
    cold = aggregate(ENERGIES, Risk("free_energy", 1e-3))
    hot = aggregate(ENERGIES.double(), Risk("free_energy", 1e6))
    torch.testing.assert_close(cold, ENERGIES.amax(dim=0), atol=2e-3, rtol=0)
    torch.testing.assert_close(hot, ENERGIES.double().mean(dim=0), atol=1e-4, rtol=0)
    values = [aggregate(ENERGIES, Risk("free_energy", a)) for a in (0.1, 0.5, 2.0, 10.0)]
    for warmer, colder in zip(values[1:], values, strict=False):
        assert bool((warmer < colder).all())


def test_free_energy_does_not_overflow() -> None:
    assert aggregate(torch.tensor([1e4, 1e4]), Risk("free_energy", 0.1)).item() == 1e4


@pytest.mark.parametrize("kind", KINDS)
def test_one_member_is_itself_and_shapes_stay(kind: str) -> None:
    one = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.allclose(aggregate(one, Risk(kind, 0.5)), one[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_members_sum_to_one(kind: str) -> None:
    energies = ENERGIES.clone().requires_grad_(True)
    aggregate(energies, Risk(kind, 0.5)).sum().backward()
    assert energies.grad is not None
    torch.testing.assert_close(energies.grad.sum(dim=0), torch.ones(2))
    assert bool((energies.grad >= 0).all())


def test_an_unknown_attitude_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown attitude 'wurst'; did you mean 'worst'\?"):
        aggregate(ENERGIES, Risk("wurst"))
