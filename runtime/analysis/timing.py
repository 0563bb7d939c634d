"""Two things timed beside each other: alternating pairs, the median of their ratios and its interval."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Work = Callable[[], object]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the median by order statistics; all of the range where there are too few values.

    The number of values below the true median is binomial at rate 1/2, whatever their distribution is.
    """
    ordered = sorted(values)
    count = len(ordered)
    skip, outcomes = 0, 1  # of 2**count, how many leave at most `skip` values below the median
    while 2 * (outcomes + math.comb(count, skip + 1)) <= 0.05 * 2**count:
        skip += 1
        outcomes += math.comb(count, skip)
    return ordered[skip], ordered[-1 - skip]


def seconds(work: Work) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Alternation:
    """The times in seconds of either side, pair by pair."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        """Of our times and of theirs."""
        return median(self.ours), median(self.theirs)

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, pair by pair."""
        return [own / foreign for own, foreign in zip(self.ours, self.theirs, strict=True)]


def alternate(
    work: Work, other: Work, pairs: int, warm: int = 2, limit: float = math.inf, least: int = 3
) -> Alternation:
    """Call both in turns, the first of a pair in turns as well.

    Args:
        pairs: how many pairs; fewer, but at least `least`, once `limit` seconds have passed.
        warm: calls of each that do not count.
    """
    for _ in range(warm):
        work()
        other()
    ours: list[float] = []
    theirs: list[float] = []
    start = time.perf_counter()
    for pair in range(pairs):
        if pair >= least and time.perf_counter() - start > limit:
            break
        if pair % 2:
            theirs.append(seconds(other))
        ours.append(seconds(work))
        if pair % 2 == 0:
            theirs.append(seconds(other))
    return Alternation(tuple(ours), tuple(theirs))
