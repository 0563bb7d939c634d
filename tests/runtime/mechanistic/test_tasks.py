"""Mechanistic tasks: every answer can be told from what is shown, and by the rule that the task is named for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autobertc.dsl.errors import UserError
from autobertc.runtime.mechanistic.tasks import (
    FIRST_SYMBOL,
    IGNORED,
    MASK,
    NOISE,
    SEPARATOR,
    SYMBOLS,
    TASKS,
    mechanistic_batch,
    mixed_batch,
    vocabulary,
)

LENGTHS = (16, 32, 61)


def rows(task: str, length: int = 32, symbols: int = SYMBOLS) -> list[tuple[list[int], list[int]]]:
    batch = mechanistic_batch(task, 0, 0, 20, length, symbols)
    assert batch["input_ids"].shape == batch["labels"].shape == (20, length)
    return list(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("symbols", [4, 7, SYMBOLS])
def test_shape_and_range(task: str, length: int, symbols: int) -> None:
    for shown, labels in rows(task, length, symbols):
        assert shown[0] == 4 + list(TASKS).index(task) and labels[0] == IGNORED
        assert max(shown) < vocabulary(symbols) and min(shown) >= MASK
        asked = [label for label in labels if label != IGNORED]
        assert asked and all(FIRST_SYMBOL <= label < vocabulary(symbols) for label in asked)


@pytest.mark.parametrize("task", TASKS)
def test_seed_and_step_decide(task: str) -> None:
    first = mechanistic_batch(task, 5, 2, 8, 32)
    again = mechanistic_batch(task, 5, 2, 8, 32)
    assert all(torch.equal(first[name], again[name]) for name in first)
    for seed, step in ((5, 3), (6, 2), (-1, 2)):
        assert not torch.equal(first["input_ids"], mechanistic_batch(task, seed, step, 8, 32)["input_ids"])


@pytest.mark.parametrize("length", LENGTHS)
def test_associative_recall(length: int) -> None:
    keys = SYMBOLS // 4
    for shown, labels in rows("associative-recall", length):
        items = {(token - FIRST_SYMBOL - keys) // 3: token for token in shown if token >= FIRST_SYMBOL + keys}
        asked = {token - FIRST_SYMBOL: label for token, label in zip(shown, labels, strict=True) if label != IGNORED}
        assert len(asked) == min(keys, (length - 1) // 2)
        assert asked == items, "the item of each key that is asked for is told, once"
        assert all(shown[place] < FIRST_SYMBOL + keys for place, label in enumerate(labels) if label != IGNORED)


@pytest.mark.parametrize("length", LENGTHS)
def test_selective_copy(length: int) -> None:
    for shown, labels in rows("selective-copy", length):
        end = shown.index(SEPARATOR)
        told = [token for token in shown[1:end] if token != NOISE]
        assert told == labels[end + 1 :] and set(shown[end + 1 :]) == {MASK}
        assert set(labels[: end + 1]) == {IGNORED}


@pytest.mark.parametrize("length", LENGTHS)
def test_induction(length: int) -> None:
    for shown, labels in rows("induction", length):
        whole = [token if label == IGNORED else label for token, label in zip(shown, labels, strict=True)]
        asked = [place for place, label in enumerate(labels) if label != IGNORED]
        stretch = max(5, (length - 1) // 3)
        first = asked[0] - 1
        copies = [
            start
            for start in range(1, length - stretch + 1)
            if whole[start : start + stretch] == whole[first : first + stretch] and start != first
        ]
        assert copies and abs(copies[0] - first) >= stretch
        assert all(shown[place] == MASK and MASK not in (shown[place - 1], shown[place + 1]) for place in asked)


def test_induction_stands_at_many_places() -> None:
    firsts = [next(place for place, label in enumerate(labels) if label != IGNORED) for _, labels in rows("induction")]
    assert len(set(firsts)) > 5


def test_local_completion_is_one_table() -> None:
    table: dict[tuple[int, int], set[int]] = {}
    for seed in range(20):
        batch = mechanistic_batch("local-completion", seed, 0, 8, 32)
        for shown, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
            for place, label in enumerate(labels):
                if label != IGNORED:
                    assert MASK not in shown[place - 2 : place]
                    table.setdefault((shown[place - 2], shown[place - 1]), set()).add(label)
    assert len(table) == 36 and all(len(following) == 1 for following in table.values())
    assert len({next(iter(following)) for following in table.values()}) == 6


def test_guessing_is_no_answer() -> None:
    """The commonest label of a task is right less than a third of the time."""
    for task in TASKS:
        labels = mechanistic_batch(task, 0, 0, 200, 32)["labels"]
        _, counts = np.unique(labels[labels != IGNORED].numpy(), return_counts=True)
        assert counts.max() / counts.sum() < 0.34, task


def test_a_mixed_batch_has_a_share_of_each() -> None:
    names = ("induction", "selective-copy", "local-completion")
    batch = mixed_batch(names, 1, 2, 12, 20)
    assert batch["input_ids"][:, 0].tolist() == [6] * 4 + [5] * 4 + [7] * 4
    assert torch.equal(batch["labels"][:4], mechanistic_batch("induction", 1, 2, 4, 20)["labels"])


def test_faults() -> None:
    with pytest.raises(UserError, match=r"mechanistic task 'recall'"):
        mechanistic_batch("recall", 0, 0, 2, 32)
    with pytest.raises(ValueError, match="16 tokens and 4 symbols"):
        mechanistic_batch("induction", 0, 0, 2, 15)
    with pytest.raises(ValueError, match="16 tokens and 4 symbols"):
        mechanistic_batch("induction", 0, 0, 2, 16, 3)
