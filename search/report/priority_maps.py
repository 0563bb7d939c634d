"""Operation priorities as tables to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autobertc.search.report.data import PriorityMap
from autobertc.search.strategies.priorities import Priorities

Numbers = NDArray[np.float64]


def priority_maps(priorities: Priorities, operations: Sequence[str], kernels: Sequence[int]) -> tuple[PriorityMap, ...]:
    """The mean over the layers, kernel sizes by layer, and each layer.

    The choices at a position are those that some candidate had there, in any layer: what else the types allow there
    depends on the program.
    """
    had = priorities.counts.sum(0) > 0
    used = [position for position in range(had.shape[0]) if had[position].any()]
    shares = _softmax(np.where(had, priorities.operations, -np.inf)[:, used], priorities.tau)
    counts = priorities.counts[:, used]
    columns = tuple(f"position {position + 1}" for position in used)
    maps = []
    if used:
        maps.append(_map("mean over the layers", operations, columns, shares.mean(0), had[used], counts.sum(0)))
    if kernels and priorities.kernels.size:
        sizes = _softmax(priorities.kernels[:, 0], priorities.tau)
        names = tuple(f"layer {layer + 1}" for layer in range(len(sizes)))
        maps.append(_map("kernel sizes", [str(size) for size in kernels], names, sizes, np.ones_like(sizes, bool)))
    for layer in range(len(shares) if used else 0):
        maps.append(_map(f"layer {layer + 1}", operations, columns, shares[layer], had[used], counts[layer]))
    return tuple(maps)


def _softmax(bounds: Numbers, tau: float) -> Numbers:
    weights = np.exp((bounds - bounds.max(-1, keepdims=True)) / tau)
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _map(
    title: str,
    rows: Sequence[str],
    columns: tuple[str, ...],
    shares: Numbers,
    possible: NDArray[np.bool_],
    counts: Numbers | None = None,
) -> PriorityMap:
    """`shares`, `possible` and `counts` are [columns, rows]; rows that are possible nowhere are left out."""
    kept = [row for row in range(len(rows)) if possible[:, row].any()]
    probabilities = tuple(
        tuple(float(shares[column, row]) if possible[column, row] else None for column in range(len(columns)))
        for row in kept
    )
    seen = () if counts is None else tuple(tuple(int(each) for each in counts[:, row]) for row in kept)
    return PriorityMap(title, tuple(rows[row] for row in kept), columns, probabilities, seen)
