"""Intervals against published values, and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.evaluate.statistics import interquartile_mean, mean, proportion, student


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3 (Wilson).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_against_newcombe(hits: int, n: int, low: float, high: float) -> None:
    share, lower, upper = proportion(hits, n)
    assert share == hits / n
    assert (lower, upper) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_of_nothing_nothing_is_known() -> None:
    share, low, high = proportion(0, 0)
    assert math.isnan(share)
    assert (low, high) == (0.0, 1.0)


def test_more_confidence_is_a_wider_interval() -> None:
    _, low, high = proportion(30, 40)
    _, lower, higher = proportion(30, 40, confidence=0.99)
    assert lower < low < high < higher


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_wilson_covers_as_often_as_it_says(p: float) -> None:
    n, rng = 100, np.random.default_rng(3)
    bounds = {hits: proportion(hits, n)[1:] for hits in range(n + 1)}
    draws = rng.binomial(n, p, size=20_000)
    covered = np.mean([bounds[h][0] <= p <= bounds[h][1] for h in draws.tolist()])
    assert 0.93 < covered < 0.98


def test_the_bootstrap_is_deterministic_and_covers() -> None:
    sample = np.random.default_rng(1).normal(2.0, 1.0, size=400)
    value, low, high = mean(sample)
    assert (value, low, high) == mean(sample)
    assert value == pytest.approx(sample.mean())
    half = 1.96 * sample.std() / math.sqrt(400)
    assert low == pytest.approx(value - half, abs=0.02)
    assert high == pytest.approx(value + half, abs=0.02)


def test_the_bootstrap_of_little() -> None:
    assert mean([4.0]) == (4.0, 4.0, 4.0)
    assert all(math.isnan(v) for v in mean([]))


def test_student_against_a_published_value() -> None:
    # t(0.975, 2) = 4.303: any table of Student's distribution.
    value, low, high = student([1.0, 2.0, 3.0])
    half = 4.3027 / math.sqrt(3)
    assert (value, low, high) == (
        2.0,
        pytest.approx(2 - half, abs=1e-3),
        pytest.approx(2 + half, abs=1e-3),
    )


def test_one_seed_has_no_interval() -> None:
    value, low, high = student([4.0])
    assert value == 4.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_interquartile_mean_is_of_the_middle_half() -> None:
    assert interquartile_mean([[0.0, 1.0, 2.0], [3.0, 100.0]])[0] == 2.0
    assert interquartile_mean([[5.0], []])[0] == 5.0


def test_strata_are_resampled_by_themselves() -> None:
    value, low, high = interquartile_mean([[0.0] * 4, [10.0] * 4])
    assert (value, low, high) == (5.0, 5.0, 5.0), "runs of one task never stand in for another's"
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(200):
        drawn = [rng.normal(place, 1.0, 12) for place in (0.0, 0.5, 1.0)]
        _, low, high = interquartile_mean(drawn, resamples=400)
        inside.append(low <= 0.5 <= high)
    assert 0.88 <= np.mean(inside) <= 0.99


def test_of_one_run_a_task_no_interval_is_told() -> None:
    value, low, high = interquartile_mean([[1.0], [3.0]])
    assert value == 2.0
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(interquartile_mean([])[0])
