"""Intervals over seeds, and what a curve tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
LEFT = 0.95
"""The share of the unigram entropy that a loss must be below, from then on, for a model to have left the plateau."""
Curve = Sequence[dict[str, Any]]


def interval(values: Sequence[float]) -> dict[str, Any]:
    """`mean`, and `low` and `high` of Student's 95% interval of the mean, None of a single value."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return {"mean": mean, "low": None, "high": None, "values": [float(value) for value in values]}
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return {"mean": mean, "low": mean - half, "high": mean + half, "values": [float(value) for value in values]}


def leaving_step(curve: Curve, entropy: float) -> int | None:
    """The step of the first window from which on the loss of masked words stays below `LEFT` of the unigram entropy;
    None where it is not below at the end. A model that knows how frequent words are, and nothing else, never leaves."""
    step = None
    for window in reversed(curve):
        if window["mlm_loss"] >= LEFT * entropy:
            break
        step = int(window["step"])
    return step


def axes(curve: Curve, training_flops: float) -> dict[str, NDArray[np.float64]]:
    """Where each window of a curve ends, `[windows]`: its `step`, `seconds` of training and `flops` until then; and
    its `loss`."""
    sequences = np.cumsum([window["sequences"] for window in curve])
    return {
        "step": np.array([window["step"] for window in curve], float),
        "seconds": np.cumsum([window["seconds"] for window in curve]),
        "flops": sequences / sequences[-1] * training_flops,
        "loss": np.array([window["mlm_loss"] for window in curve], float),
    }


def loss_at(curve: dict[str, NDArray[np.float64]], axis: str, place: float) -> float:
    """A curve's loss where an axis has a value, straight between windows."""
    return float(np.interp(place, curve[axis], curve["loss"]))
