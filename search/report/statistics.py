"""The numbers of a report: intervals, ranks, fronts. Intervals are of 95%."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from autobertc.search.randomness import generator

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `low` and `high` are None where there is too little to tell."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean(values: Sequence[float]) -> Estimate:
    """The mean of independent values, with Student's t interval; none of fewer than two values."""
    middle = float(np.mean(values))
    if len(values) < 2:
        return Estimate(middle)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Estimate(middle, middle - half, middle + half)


def paired(left: Sequence[float | None], right: Sequence[float | None]) -> Estimate | None:
    """The mean difference left - right, seed by seed, over the seeds that both have; None where there is none."""
    if len(left) != len(right):
        return None
    differences = [a - b for a, b in zip(left, right, strict=True) if a is not None and b is not None]
    return mean(differences) if differences else None


FEWEST = 6
"""Pairs that an interval of tau is made of at least."""


def kendall(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Kendall's tau-b with a bootstrap interval over the pairs; None where fewer than three pairs or no variation.

    Of fewer than `FEWEST` pairs there is no interval: of three, a bootstrap's leaves out 0 one time in three by chance.
    Resamples in which either side is constant have no tau and are left out.
    """
    if len(x) < 3:
        return None
    a, b = np.asarray(x, float), np.asarray(y, float)
    tau = float(_tau(a[None], b[None])[0])
    if np.isnan(tau):
        return None
    if len(x) < FEWEST:
        return Estimate(tau)
    drawn = generator(0, "report", "kendall", len(x)).integers(len(x), size=(RESAMPLES, len(x)))
    low, high = _percentiles(_in_parts(a, b, drawn))
    return Estimate(tau, low, high)


def _in_parts(a: NDArray[np.float64], b: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    size = max(1, 2_000_000 // a.size**2)
    parts = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    return np.concatenate([_tau(a[part], b[part]) for part in parts])


def _tau(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """tau-b of each row [rows, n]; NaN where a side is constant."""
    left = np.sign(a[:, :, None] - a[:, None, :]).reshape(len(a), -1)
    right = np.sign(b[:, :, None] - b[:, None, :]).reshape(len(b), -1)
    scale = np.sqrt((left**2).sum(1) * (right**2).sum(1))
    return np.where(scale > 0, (left * right).sum(1) / np.where(scale > 0, scale, 1), np.nan)


def _percentiles(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    values = values[~np.isnan(values)]
    if values.size < 20:
        return None, None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def spearman(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
    """Spearman's rank correlation with a bootstrap interval; None as in `kendall`, or of fewer than ten pairs."""
    if len(x) < 10 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    a, b = stats.rankdata(x), stats.rankdata(y)
    drawn = generator(0, "report", "spearman", len(x)).integers(len(x), size=(RESAMPLES, len(x)))
    left, right = a[drawn], b[drawn]
    left, right = left - left.mean(1, keepdims=True), right - right.mean(1, keepdims=True)
    scale = np.sqrt((left**2).sum(1) * (right**2).sum(1))
    resampled = np.where(scale > 0, (left * right).sum(1) / np.where(scale > 0, scale, 1), np.nan)
    low, high = _percentiles(resampled)
    return Estimate(float(np.corrcoef(a, b)[0, 1]), low, high)


def front(points: Sequence[tuple[float, ...]]) -> list[int]:
    """The indices of the points that no other dominates, higher being better everywhere; equal points all stay."""
    kept = []
    for index, point in enumerate(points):
        dominated = any(other != point and all(a >= b for a, b in zip(other, point, strict=True)) for other in points)
        if not dominated:
            kept.append(index)
    return kept


def best_so_far(values: Sequence[float]) -> list[float]:
    """The greatest of the values up to each."""
    return [float(value) for value in np.maximum.accumulate(values)] if values else []
