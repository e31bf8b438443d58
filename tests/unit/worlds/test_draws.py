"""Draws ahead are the draws of every tick."""

from __future__ import annotations

import numpy as np

from worlds.draws import AHEAD, Draws


def generators(seeds: range) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def test_drawn_ahead_or_tick_by_tick_numbers_are_the_same() -> None:
    ahead, alone = Draws(generators(range(3)), 2, 4), generators(range(3))
    for _ in range(2 * AHEAD + 5):
        expected = np.stack([g.uniform(size=(2, 4)) for g in alone])
        np.testing.assert_array_equal(ahead.next(), expected)


def test_a_row_does_not_depend_on_the_others() -> None:
    many, one = Draws(generators(range(4)), 3), Draws(generators(range(2, 3)), 3)
    for _ in range(AHEAD + 1):
        np.testing.assert_array_equal(many.next()[2], one.next()[0])


def test_what_was_drawn_is_not_lent_out() -> None:
    draws = Draws(generators(range(2)), 3)
    kept = draws.next()
    before = kept.copy()
    for _ in range(2 * AHEAD):
        draws.next()[:] = -1.0
    np.testing.assert_array_equal(kept, before)
    assert (draws.next() >= 0).all()
