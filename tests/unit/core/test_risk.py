"""Attitudes to risk against their closed forms and limits."""

from __future__ import annotations

import math

import pytest
import torch

from agent.core.errors import InputError
from agent.core.risk import KINDS, Risk, aggregate, attribute

ENERGIES = torch.tensor([[1.0, -2.0], [3.0, 0.0], [2.0, 7.0], [6.0, 1.0]])


@pytest.mark.parametrize(
    ("risk", "expected"),
    [
        (Risk("mean"), [3.0, 1.5]),
        (Risk("worst"), [6.0, 7.0]),
        (Risk("cvar", 0.5), [4.5, 4.0]),
        (Risk("cvar", 0.25), [6.0, 7.0]),
        (Risk("cvar", 0.375), [5.0, 5.0]),  # the worst whole, half of the second
        (Risk("cvar", 0.75), [11 / 3, 8 / 3]),
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


@pytest.mark.parametrize("alpha", [1e-9, 0.1, 0.29, 0.5, 0.62, 0.99, 1.0])
def test_cvar_is_its_definition_as_a_minimum(alpha: float) -> None:
    """min over t of t + mean (e - t)+ / alpha; the minimum lies at one of the energies."""
    for column in ENERGIES.double().T:
        at = [float(t + (column - t).clamp_min(0).mean() / alpha) for t in column]
        found = float(aggregate(column, Risk("cvar", alpha)))
        assert found == pytest.approx(min(at), rel=1e-9)


def test_cvar_goes_from_the_worst_to_the_mean_without_a_jump() -> None:
    assert torch.equal(aggregate(ENERGIES, Risk("cvar", 1e-6)), ENERGIES.amax(dim=0))
    torch.testing.assert_close(aggregate(ENERGIES, Risk("cvar", 1.0)), ENERGIES.mean(dim=0))
    alphas = torch.linspace(0.01, 1.0, 200).tolist()
    values = torch.stack([aggregate(ENERGIES.double(), Risk("cvar", a)) for a in alphas])
    falls = -values.diff(dim=0)
    assert bool((falls >= -1e-12).all())
    assert float(falls.max()) < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_no_attitude_likes_a_future_that_costs_more(kind: str) -> None:
    risk = Risk(kind, 0.6)
    for member in range(len(ENERGIES)):
        dearer = ENERGIES.clone()
        dearer[member] += 0.5
        assert bool((aggregate(dearer, risk) >= aggregate(ENERGIES, risk) - 1e-6).all())


def test_free_energy_stands_extreme_temperatures() -> None:
    for alpha in (1e-30, 1e-3, 1e12):
        leaf = ENERGIES.clone().requires_grad_(True)
        found = aggregate(leaf, Risk("free_energy", alpha))
        found.sum().backward()
        assert bool(found.isfinite().all())
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())
    hot = aggregate(ENERGIES, Risk("free_energy", 1e12))
    torch.testing.assert_close(hot, ENERGIES.mean(dim=0))
    torch.testing.assert_close(
        aggregate(ENERGIES, Risk("free_energy", 1e-30)), ENERGIES.amax(dim=0)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_no_number_shows(kind: str, bad: float) -> None:
    energies = ENERGIES.clone()
    energies[2, 0] = bad
    found = aggregate(energies, Risk(kind, 0.6))
    assert not bool(found[0].isfinite())
    assert bool(found[1].isfinite())


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_add_up_to_what_the_deciding_futures_cost(kind: str, alpha: float) -> None:
    parts = torch.rand(4, 3, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    whole, risk = parts.sum(dim=(3, 4)), Risk(kind, alpha)
    found = attribute(parts, whole, risk)
    assert found.shape == (3, 2, 5, 6)
    added, energy = found.sum(dim=(2, 3)), aggregate(whole, risk)
    if kind == "free_energy":
        shares = torch.softmax(whole / alpha, dim=0)
        energy = energy + alpha * (shares * (shares * 4).log()).sum(dim=0)
    torch.testing.assert_close(added, energy)


@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("cvar", 1.5), ("cvar", 0.0), ("cvar", -0.5), ("free_energy", 0.0), ("free_energy", math.inf),
     ("cvar", math.nan), ("mean", -1.0)],
)  # fmt: skip
def test_an_alpha_out_of_range_is_refused(kind: str, alpha: float) -> None:
    with pytest.raises(InputError, match=rf"expected an alpha .* for {kind}, came .*risk_alpha"):
        Risk(kind, alpha)


def test_an_unknown_attitude_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown attitude 'wurst'; did you mean 'worst'\?"):
        Risk("wurst")
