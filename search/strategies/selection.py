"""Which candidates become parents: the best by Pareto rank, then by crowding; or tournaments among the youngest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autobertc.search.strategies.base import History, Record

Values = tuple[float, ...]


def pareto_ranks(values: Sequence[Values]) -> list[int]:
    """0 for what nothing dominates, 1 for what only those dominate, and so on. Higher values are better.

    One objective: the rank among the distinct values.
    """
    table = np.array(values)
    least = np.all(table[:, None] >= table[None], axis=2)
    better = np.asarray(least & np.any(table[:, None] > table[None], axis=2))
    ranks = np.full(len(table), -1)
    rank = 0
    while (ranks < 0).any():
        left = ranks < 0
        front = left & ~better[left].any(axis=0)
        ranks[front] = rank
        rank += 1
    return [int(rank) for rank in ranks]


def crowding(values: Sequence[Values]) -> list[float]:
    """The crowding distance within one front (Deb et al. 2002): the side lengths of the box that a point's neighbours
    span, as parts of the front's; infinite at an end of an objective."""
    table = np.array(values)
    distances = np.zeros(len(table))
    for column in table.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distances[order[[0, -1]]] = np.inf
        if span > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return [float(distance) for distance in distances]


def current_values(history: History) -> list[tuple[Record, Values]]:
    """The complete records with the values that selection goes by: the last ones, where a parent was scored again."""
    return [(record, history.rescored.get(record.number, record.values)) for record in history.complete()]


def best(candidates: Sequence[tuple[Record, Values]], count: int) -> list[Record]:
    """The `count` best, best first: by the one value, or by Pareto rank and then crowding. Ties to the lower number."""
    if not candidates:
        return []
    if len(candidates[0][1]) == 1:
        ordered = sorted(candidates, key=lambda item: (-item[1][0], item[0].number))
        return [record for record, _ in ordered[:count]]
    ranks = pareto_ranks([values for _, values in candidates])
    chosen: list[Record] = []
    for rank in range(max(ranks) + 1):
        front = [item for item, own in zip(candidates, ranks, strict=True) if own == rank]
        distances = crowding([values for _, values in front])
        ordered_front = sorted(
            zip(front, distances, strict=True), key=lambda pair: (-pair[1], -pair[0][1][0], pair[0][0].number)
        )
        chosen.extend(record for (record, _), _ in ordered_front)
        if len(chosen) >= count:
            break
    return chosen[:count]


def tournament(candidates: Sequence[tuple[Record, Values]], alive: int, size: int, rng: np.random.Generator) -> Record:
    """The best of `size` drawn from the `alive` youngest: aging evolution (Real et al. 2019)."""
    youngest = sorted(candidates, key=lambda item: item[0].number)[-alive:]
    drawn = rng.choice(len(youngest), min(size, len(youngest)), replace=False)
    return best([youngest[index] for index in sorted(int(i) for i in drawn)], 1)[0]
