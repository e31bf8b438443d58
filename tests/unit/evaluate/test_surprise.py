"""Thresholds and areas: known answers, and intervals that behave."""

from __future__ import annotations

import numpy as np
import pytest

from agent.evaluate.statistics import auroc
from agent.evaluate.surprise import threshold


def test_areas_with_known_answers() -> None:
    assert auroc([3.0, 4.0, 5.0], [0.0, 1.0, 2.0]) == (1.0, 1.0, 1.0)
    assert auroc([0.0, 1.0], [2.0, 3.0])[0] == 0.0
    assert auroc([1.0, 1.0], [1.0, 1.0])[0] == 0.5
    assert auroc([1.0, 3.0], [2.0, 0.0])[0] == 0.75


def test_an_area_agrees_with_sklearn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0.7, 1, 150), rng.normal(0, 1, 150)
    expected = metrics.roc_auc_score([1] * 150 + [0] * 150, np.concatenate([positive, negative]))
    value, low, high = auroc(positive, negative)
    assert value == pytest.approx(expected)
    assert low < value < high


def test_an_interval_covers_the_truth() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(60):
        _, low, high = auroc(rng.normal(1, 1, 80), rng.normal(0, 1, 80), resamples=300)
        inside += low <= 0.7602 <= high
    assert inside >= 51


def test_several_agents_are_averaged() -> None:
    one = auroc([[3.0, 4.0], [0.0, 1.0]], [[0.0, 1.0], [3.0, 4.0]])
    assert one[0] == 0.5


def test_a_threshold_keeps_its_promise() -> None:
    rng = np.random.default_rng(2)
    above = [
        (rng.normal(size=500) > threshold(rng.normal(size=400), 0.975)).mean() for _ in range(200)
    ]
    assert 0.015 < np.mean(above) <= 0.0265
    assert threshold(np.array([3.0, 1.0, 2.0]), 0.975) == 3.0
