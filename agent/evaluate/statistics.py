"""Intervals for measured figures: 95 % unless said otherwise."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

Interval = tuple[float, float, float]
"""Value, lower bound, upper bound."""


def proportion(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Return a share and its Wilson interval; (nan, 0, 1) of nothing.

    Source: Wilson (1927); Brown, Cai, DasGupta (2001) for why not the normal approximation.
    """
    if n == 0:
        return math.nan, 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return share, low, high


def mean(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000) -> Interval:
    """Return the mean and its percentile bootstrap interval; deterministic."""
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0:
        return math.nan, math.nan, math.nan
    rng = np.random.default_rng(0)
    picks = rng.integers(sample.size, size=(resamples, sample.size))
    means = sample[picks].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(sample.mean()), float(low), float(high)


def student(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of a few values, such as training seeds, and its Student-t interval.

    Without bounds (nan) of fewer than two values.
    """
    from scipy import stats

    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size < 2:
        return float(sample.mean()) if sample.size else math.nan, math.nan, math.nan
    half = stats.sem(sample) * stats.t.ppf(0.5 + confidence / 2, sample.size - 1)
    return float(sample.mean()), float(sample.mean() - half), float(sample.mean() + half)
