"""Intervals for measured figures: 95 % unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

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


def scored(value: float, chance: float, best: float) -> float:
    """Return where a value lies between chance, 0, and the best known, 100, which is above it.

    Source: Mnih et al. (2015), Human-level control, for scores so normalised.
    """
    return 100 * (value - chance) / (best - chance)


def mean(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000) -> Interval:
    """Return the mean and its percentile bootstrap interval; deterministic."""
    return _bootstrap(np.mean, values, confidence, resamples)


def median(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000) -> Interval:
    """Return the median and its percentile bootstrap interval; deterministic."""
    return _bootstrap(np.median, values, confidence, resamples)


def _bootstrap(
    statistic: Callable[..., Any], values: ArrayLike, confidence: float, resamples: int
) -> Interval:
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0:
        return math.nan, math.nan, math.nan
    rng = np.random.default_rng(0)
    picks = rng.integers(sample.size, size=(resamples, sample.size))
    found = statistic(sample[picks], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(statistic(sample)), float(low), float(high)


def interquartile_mean(
    strata: Sequence[ArrayLike], confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return the mean of the middle half of all values, and its stratified bootstrap interval.

    A stratum holds the runs of one task; each is resampled by itself. Without bounds (nan) where no
    stratum has two values. Deterministic. (`scipy.stats.bootstrap` wants two of every stratum.)

    Source: Agarwal et al. (2021), Deep RL at the edge of the statistical precipice, sec. 4.
    """
    from scipy.stats import trim_mean

    samples = [np.asarray(values, dtype=np.float64).ravel() for values in strata]
    samples = [sample for sample in samples if sample.size]
    if not samples:
        return math.nan, math.nan, math.nan
    value = float(trim_mean(np.concatenate(samples), 0.25))
    if max(sample.size for sample in samples) < 2:
        return value, math.nan, math.nan
    rng = np.random.default_rng(0)
    picked = [s[rng.integers(s.size, size=(resamples, s.size))] for s in samples]
    found = trim_mean(np.concatenate(picked, axis=1), 0.25, axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return value, float(low), float(high)


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


def auroc(
    positive: ArrayLike, negative: ArrayLike, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return the chance that a positive scores above a negative, and its bootstrap interval.

    Scores [n] of n pairs, or [m n] of the same n pairs by m agents, over which the mean is taken;
    ties count half. Pairs are resampled, whole. Deterministic.

    Source: Hanley, McNeil (1982): the area under the ROC curve as a Mann-Whitney statistic.
    """
    ours, theirs = (np.atleast_2d(np.asarray(v, np.float64)) for v in (positive, negative))
    above = np.mean(
        [np.sign(a[:, None] - b[None, :]) / 2 + 0.5 for a, b in zip(ours, theirs, strict=True)],
        axis=0,
    )
    rng, n = np.random.default_rng(0), above.shape[0]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n
    areas = np.einsum("ri,ij,rj->r", weights, above, weights, optimize=True)
    tail = (1 - confidence) / 2
    low, high = np.quantile(areas, [tail, 1 - tail])
    return float(above.mean()), float(low), float(high)
