"""Hurdles: what a candidate must have reached at a rung to be trained on, from finished rounds only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MIN_SCORES = 8
"""Below so many scores at a rung there is no hurdle."""


def thresholds(finished: Sequence[tuple[float, ...]], rungs: int, stopped: float = 0.5) -> tuple[float, ...]:
    """The score to reach at each rung but the last, as `CandidateJob.thresholds` takes it.

    A pure function of finished rounds, so that no candidate's fate depends on who happened to end before it.

    Args:
        finished: the scores at the rungs that each candidate of finished rounds reached, stopped ones among them.
        rungs: how many rungs there are, the last, at the end, among them.
        stopped: the share of candidates as good as those before that a hurdle stops.

    Returns thresholds; minus infinity where there are fewer than `MIN_SCORES`.
    """
    found = []
    for rung in range(rungs - 1):
        scores = [reached[rung] for reached in finished if len(reached) > rung and math.isfinite(reached[rung])]
        enough = len(scores) >= MIN_SCORES
        found.append(float(np.quantile(scores, stopped, method="lower")) if enough else float("-inf"))
    return tuple(found)
