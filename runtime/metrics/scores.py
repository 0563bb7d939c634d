"""Scores of predictions, by scikit-learn and SciPy; all of them from -1 or 0 to 1.

Correlations of a constant are 0 here, not a number that is none: a model that predicts one class has learnt nothing,
and its score can be averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn import metrics

from autobertc.runtime.data.errors import DataError, unknown


def accuracy(predictions: ArrayLike, references: ArrayLike) -> float:
    """The share of predictions that are right."""
    return float(metrics.accuracy_score(references, predictions))


def f1(predictions: ArrayLike, references: ArrayLike) -> float:
    """The F1 of class 1 among 0 and 1, as MRPC and QQP are scored; 0 where there is none of it."""
    return float(metrics.f1_score(references, predictions, pos_label=1, average="binary", zero_division=0))


def f1_macro(predictions: ArrayLike, references: ArrayLike) -> float:
    """The mean of all classes' F1."""
    return float(metrics.f1_score(references, predictions, average="macro", zero_division=0))


def matthews(predictions: ArrayLike, references: ArrayLike) -> float:
    """Matthews's correlation."""
    return float(metrics.matthews_corrcoef(references, predictions))


def pearson(predictions: ArrayLike, references: ArrayLike) -> float:
    """Pearson's correlation."""
    return _correlation(stats.pearsonr, predictions, references)


def spearman(predictions: ArrayLike, references: ArrayLike) -> float:
    """Spearman's rank correlation."""
    return _correlation(stats.spearmanr, predictions, references)


def _correlation(function: Callable[..., tuple[float, float]], predictions: ArrayLike, references: ArrayLike) -> float:
    given, wanted = np.asarray(predictions, float), np.asarray(references, float)
    if np.ptp(given) == 0 or np.ptp(wanted) == 0:
        return 0.0
    return float(function(given, wanted)[0])


METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "f1_macro": f1_macro,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}
"""Scores by name: of classes the first four, of numbers the others."""


def score(names: Sequence[str], predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
    """Several scores by name. Raises `DataError` for unequal lengths, for nothing to score and for a number that is
    none (a model that diverged)."""
    given, wanted = np.asarray(predictions), np.asarray(references)
    if len(given) != len(wanted):
        raise DataError(f"{len(given)} predictions for {len(wanted)} examples")
    if len(given) == 0:
        raise DataError("there are no predictions to score")
    if not np.isfinite(given).all():
        raise DataError("some predictions are not numbers: the model diverged")
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return {name: METRICS[name](given, wanted) for name in names}
