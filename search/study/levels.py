"""Levels: by how much each round's scores are higher than the first's for no merit of its candidates.

Later rounds inherit more training. The anchor, one architecture of its own, gains less from that than what the search
is at; the parents, which are scored again from each round's snapshot, gain what their children do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Values = tuple[float, ...]


def levels(first: Sequence[Mapping[int, Values]], rescored: Sequence[Mapping[int, Values]]) -> list[Values]:
    """The level of each round, to be subtracted from its scores; zero for the first.

    A round in which parents were scored again is higher than their scores were before, at their own levels, by the
    median of the differences. A round without such, of random candidates all, is where the median of them says.

    Args:
        first: of each round, its own candidates' scores by number.
        rescored: of each round, its scores of earlier candidates by number.
    """
    found: list[Values] = []
    known: dict[int, np.ndarray] = {}
    base: np.ndarray | None = None
    for own, again in zip(first, rescored, strict=True):
        before = [number for number in again if number in known]
        if before:
            level = np.median([np.array(again[number]) - known[number] for number in before], axis=0)
        elif own and not again:
            middle = np.median([np.array(values) for values in own.values()], axis=0)
            base = middle if base is None else base
            level = middle - base
        elif found:
            level = np.array(found[-1])
        else:
            level = np.zeros(len(next(iter(again.values()), ())))
        known |= {number: np.array(values) - level for number, values in {**own, **again}.items()}
        found.append(tuple(level.tolist()))
    return found
