"""Batches of the mechanistic tasks, drawn by seed and step.

A row is `[task] tokens...`: its first token names the task, so that one model learns all of them at once. Answers stand
where the mask token is shown; every other position has the label -100. Tokens: 0 padding, 1 the mask, 2 noise, 3 a
separator, then a token for each task, then the symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autobertc.runtime.data.errors import unknown

IGNORED = -100
MASK, NOISE, SEPARATOR = 1, 2, 3
_TASK_TOKENS = 4
FIRST_SYMBOL = 8
SYMBOLS = 24
VOCABULARY = FIRST_SYMBOL + SYMBOLS
"""What a model's vocabulary must hold for the default number of symbols."""
MIN_LENGTH = 16
_VALUES = 3  # of a key, in associative recall
_COPIED_SYMBOLS = 8  # of selective copy
_LOCAL_SYMBOLS = 6  # of n-gram completion: a table of their pairs is learnt in some hundred steps

Ints = NDArray[np.int64]
Rows = tuple[Ints, Ints]


def _blank(batch: int, length: int) -> Rows:
    return np.full((batch, length), NOISE), np.full((batch, length), IGNORED)


def _permutations(rng: np.random.Generator, batch: int, count: int) -> Ints:
    """`[batch, count]`, each row a permutation of 0 to count - 1."""
    return np.argsort(rng.random((batch, count)), axis=1, kind="stable")


def associative_recall(rng: np.random.Generator, batch: int, length: int, symbols: int) -> Rows:
    """Items scattered in noise, each a token for a key and its value together; the same keys alone ask for the items.

    Where the value is told is to be found by content, wherever it stands. There are a quarter as many keys as symbols,
    and three values: an item is one of three that have its key.
    """
    keys = symbols // (_VALUES + 1)
    asked = min(keys, (length - 1) // 2)
    shown, labels = _blank(batch, length)
    key = _permutations(rng, batch, keys)[:, :asked]
    item = FIRST_SYMBOL + keys + _VALUES * key + rng.integers(_VALUES, size=key.shape)
    place = 1 + _permutations(rng, batch, length - 1)[:, : 2 * asked]
    rows = np.arange(batch)[:, None]
    shown[rows, place[:, :asked]] = item
    shown[rows, place[:, asked:]] = FIRST_SYMBOL + key
    labels[rows, place[:, asked:]] = item
    return shown, labels


def selective_copy(rng: np.random.Generator, batch: int, length: int, symbols: int) -> Rows:
    """A few symbols scattered in noise, a separator, and masks that ask for the symbols in their order."""
    count = max(2, (length - 2) // 6)
    room = length - 2 - count
    shown, labels = _blank(batch, length)
    value = FIRST_SYMBOL + rng.integers(min(symbols, _COPIED_SYMBOLS), size=(batch, count))
    place = 1 + np.sort(_permutations(rng, batch, room)[:, :count], axis=1)
    shown[np.arange(batch)[:, None], place] = value
    shown[:, 1 + room] = SEPARATOR
    shown[:, 2 + room :] = MASK
    labels[:, 2 + room :] = value
    return shown, labels


def induction(rng: np.random.Generator, batch: int, length: int, symbols: int) -> Rows:
    """Random symbols in which one stretch stands twice, at random places; every third symbol of one copy is masked.

    The neighbours of a mask, found again in the other copy, tell what is missing.
    """
    stretch = max(5, (length - 1) // 3)
    shown, labels = _blank(batch, length)
    shown[:, 1:] = FIRST_SYMBOL + rng.integers(symbols, size=(batch, length - 1))
    spare = length - 1 - 2 * stretch
    cuts = np.sort(rng.integers(spare + 1, size=(batch, 2)), axis=1)
    places = np.stack([1 + cuts[:, 0], 1 + stretch + cuts[:, 1]])
    places = np.where(rng.random(batch) < 0.5, places, places[::-1])
    told, asked = (place[:, None] + np.arange(stretch) for place in places)
    rows = np.arange(batch)[:, None]
    shown[rows, asked] = shown[rows, told]
    masked = asked[:, 1:-1:3]
    labels[rows, masked] = shown[rows, masked]
    shown[rows, masked] = MASK
    return shown, labels


@cache
def _table() -> Ints:
    """What follows each pair of symbols: the same for every seed, for it is what a model has to learn by heart."""
    # Each row is a permutation, so that no symbol is commoner than others.
    rng = np.random.default_rng(20220222)
    return np.stack([rng.permutation(_LOCAL_SYMBOLS) for _ in range(_LOCAL_SYMBOLS)])


def local_completion(rng: np.random.Generator, batch: int, length: int, symbols: int) -> Rows:
    """Each symbol follows from the two before it by a fixed table, but for one in eight at random; every fourth is
    masked, where the table holds."""
    table = _table()
    count = min(symbols, _LOCAL_SYMBOLS)
    chain = rng.integers(count, size=(batch, length - 1))
    lawful = rng.random((batch, length - 1)) >= 1 / 8
    lawful[:, :2] = False
    for place in range(2, length - 1):
        following = table[chain[:, place - 2], chain[:, place - 1]] % count
        chain[:, place] = np.where(lawful[:, place], following, chain[:, place])
    shown, labels = _blank(batch, length)
    shown[:, 1:] = FIRST_SYMBOL + chain
    masked = np.zeros((batch, length), bool)
    masked[:, 1:] = lawful
    masked[:, np.arange(length) % 4 != 3] = False
    labels[masked] = shown[masked]
    shown[masked] = MASK
    return shown, labels


TASKS: dict[str, Callable[[np.random.Generator, int, int, int], Rows]] = {
    "associative-recall": associative_recall,
    "selective-copy": selective_copy,
    "induction": induction,
    "local-completion": local_completion,
}
"""By name."""


def vocabulary(symbols: int = SYMBOLS) -> int:
    """Entries of the vocabulary that a number of symbols needs."""
    return FIRST_SYMBOL + symbols


def mechanistic_batch(
    task: str, seed: int, step: int, batch: int, length: int, symbols: int = SYMBOLS
) -> dict[str, Tensor]:
    """A batch of one task: `input_ids` and `labels`, both `[batch, length]`; the same for the same seed and step.

    Args:
        task: one of `TASKS`.
        seed, step: of the draws. Every pair of them is a batch of its own.
        length: tokens of a row, 16 at least.
        symbols: how many there are, 4 at least; the vocabulary has 8 more tokens.

    Raises `DataError` for an unknown task, `ValueError` for too short rows or too few symbols.
    """
    if task not in TASKS:
        raise unknown("mechanistic task", task, TASKS)
    if length < MIN_LENGTH or symbols < 4:
        raise ValueError(f"mechanistic tasks need {MIN_LENGTH} tokens and 4 symbols, not {length} and {symbols}")
    number = list(TASKS).index(task)
    # Negative seeds and steps are keys of their own: numpy takes none below 0.
    key = [number, *(part % 2**64 for part in (seed, step))]
    shown, labels = TASKS[task](np.random.default_rng(key), batch, length, symbols)
    shown[:, 0] = _TASK_TOKENS + number
    return {"input_ids": torch.from_numpy(shown), "labels": torch.from_numpy(labels)}


def mixed_batch(
    tasks: tuple[str, ...], seed: int, step: int, batch: int, length: int, symbols: int = SYMBOLS
) -> dict[str, Tensor]:
    """A batch with an equal share of each task, one row of each at least. Arguments as of `mechanistic_batch`."""
    share = max(1, batch // len(tasks))
    parts: list[dict[str, Any]] = [mechanistic_batch(task, seed, step, share, length, symbols) for task in tasks]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
