"""Associative retrieval: the energy never rises, and what is stored is found again."""

from __future__ import annotations

import pytest
import torch

from modules.memory.hopfield import attention, energy, retrieve
from modules.memory.nearest import Nearest

GENERATOR = torch.Generator().manual_seed(5)
LEVEL = pytest.mark.parametrize("level", [False, True])


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


@LEVEL
@pytest.mark.parametrize("beta", [0.01, 0.3, 4.0])
def test_the_energy_never_rises_along_updates(level: bool, beta: float) -> None:
    patterns, state = draw(50, 8), 3 * draw(20, 8)
    fell = torch.zeros(20, dtype=torch.bool)
    for _ in range(12):
        before, state = state, retrieve(patterns, state, beta, 1, level)
        change = energy(patterns, state, beta, level) - energy(patterns, before, beta, level)
        assert bool((change <= 1e-12).all())
        fell |= change < -1e-6
    assert fell.all()


@LEVEL
def test_where_updates_end_the_slope_of_the_energy_is_zero(level: bool) -> None:
    patterns = draw(30, 6)
    state = retrieve(patterns, draw(6), 1.0, 500, level).requires_grad_(True)
    (slope,) = torch.autograd.grad(energy(patterns, state, 1.0, level), state)
    assert float(slope.abs().max()) < 1e-9


def test_patterns_of_one_length_have_one_energy_level_or_not() -> None:
    patterns = torch.nn.functional.normalize(draw(40, 5), dim=1) * 3.0
    states = draw(9, 5)
    gap = energy(patterns, states, 2.0, level=True) - energy(patterns, states, 2.0)
    torch.testing.assert_close(gap, torch.full((9,), 4.5, dtype=torch.float64))
    both = [retrieve(patterns, states, 2.0, 3, level) for level in (False, True)]
    torch.testing.assert_close(*both)


def test_a_stored_pattern_is_found_again_through_noise() -> None:
    patterns = draw(200, 64)
    noisy = patterns + 0.3 * draw(200, 64)
    assert float((noisy - patterns).norm(dim=1).min()) > 1.0
    found = retrieve(patterns, noisy, 8.0, 2, level=True)
    assert float((found - patterns).abs().max()) < 1e-6


def test_long_patterns_outshout_short_ones_unless_they_are_level() -> None:
    patterns = torch.tensor([[1.0, 0.0], [5.0, 0.0]])
    state = torch.tensor([1.1, 0.0])
    assert retrieve(patterns, state, 8.0, 3)[0] == pytest.approx(5.0)
    assert retrieve(patterns, state, 8.0, 3, level=True)[0] == pytest.approx(1.0)


def test_a_low_beta_retrieves_what_patterns_have_in_common() -> None:
    patterns = draw(10, 4)
    torch.testing.assert_close(retrieve(patterns, draw(4), 1e-9, 1), patterns.mean(dim=0))


def test_patterns_may_differ_from_row_to_row() -> None:
    patterns, states = draw(3, 7, 4), draw(3, 4)
    each = [retrieve(p, s, 1.5, 2, level=True) for p, s in zip(patterns, states, strict=True)]
    torch.testing.assert_close(retrieve(patterns, states, 1.5, 2, level=True), torch.stack(each))
    weights = attention(patterns, states, 1.5)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, dtype=torch.float64))


def test_few_latents_are_searched_one_by_one_and_many_by_lists() -> None:
    stored = draw(3000, 6).float()
    energies = torch.arange(3000.0)
    few, many = Nearest(6, exact=3000), Nearest(6, exact=500, probes=8)
    for part, worth in zip(stored.split(700), energies.split(700), strict=True):
        few.add(part, worth)
        many.add(part, worth)
    assert len(few) == len(many) == 3000
    torch.testing.assert_close(many.keys, stored)
    query = stored[::30] + 0.01
    near, which = few.search(query, 5)
    truth = (stored - query[:, None]).norm(dim=2).topk(5, largest=False)
    torch.testing.assert_close(near, truth.values)
    found = many.search(query, 5)
    assert torch.equal(found[1][:, 0], which[:, 0])
    hit = (found[1][:, :, None] == which[:, None, :]).any(dim=2).float().mean()
    assert 0.8 < float(hit) < 1.0, "lists are searched in part, and miss a little"
    torch.testing.assert_close(found[0], (many.keys[found[1]] - query[:, None]).norm(dim=2))


def test_what_is_not_finite_is_not_stored_and_what_is_missing_is_infinitely_far() -> None:
    store = Nearest(2)
    rows = torch.tensor([[1.0, 0.0], [torch.nan, 0.0], [0.0, torch.inf], [2.0, 0.0], [3.0, 0.0]])
    store.add(rows, torch.tensor([1.0, 2.0, 3.0, 4.0, torch.nan]))
    assert store.energies.tolist() == [1.0, 4.0]
    near, which = store.search(torch.zeros(1, 2), 4)
    assert near[0].tolist() == [1.0, 2.0, torch.inf, torch.inf]
    assert which[0, :2].tolist() == [0, 1]
