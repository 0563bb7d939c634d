"""A user's own task: a CSV, JSON or Parquet file, or one for each split, whose columns the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset

from autobertc.runtime.data.errors import DataError, require_columns
from autobertc.runtime.tasks.base import SequenceTask, Splits
from autobertc.runtime.tasks.rows import check_rows, read_splits, read_table

_NAMES = ("train", "validation", "test")
MAX_CLASSES = 1000


def custom_task(
    data: Sequence[str],
    text: Sequence[str],
    label: str = "label",
    *,
    kind: str = "auto",
    name: str = "custom",
    validation: float = 0.1,
    seed: int = 0,
) -> SequenceTask:
    """A task of one or two columns of text and a label.

    Args:
        data: one file, of which a share is held out; files to train on, to validate and (if three) to test; or a
            folder with a file for each split.
        text: one column, or two for pairs.
        label: the column of the label. Its classes are those of the training rows, in order.
        kind: "classification", "regression", or "auto": numbers that are not whole make it a regression.
        validation: the share that is held out of one file, drawn by `seed`.

    Raises `DataError` for every fault of the data: they are read here.
    """
    if kind not in ("auto", "classification", "regression"):
        raise DataError(f"there is no kind of task {kind!r}; choose classification, regression or auto")
    if not 1 <= len(text) <= 2:
        raise DataError(f"a task has one column of text, or two; {len(text)} are named")
    found = _read(data)
    for split, rows in found.items():
        if len(rows) == 0:
            raise DataError(f"{', '.join(data)}, {split} is empty")
    where = ", ".join(data)
    require_columns(f"{where}, train", found["train"].column_names, [*text, label])
    labels = _classes(where, found["train"], label, kind)
    splits = {
        split: check_rows(f"{where}, {split}", rows, text, labels, label, needed=split != "test")
        for split, rows in found.items()
    }
    if "validation" not in splits:
        splits |= _held_out(where, splits["train"], validation, seed)
    metrics: tuple[str, ...] = ("spearman", "pearson")
    if labels:
        metrics = ("accuracy", "f1", "matthews") if len(labels) == 2 else ("accuracy", "f1_macro", "matthews")
    task = SequenceTask(
        name=name, columns=tuple(text), labels=labels, metrics=metrics, reader=lambda _: splits, written=labels
    )
    return replace(task, data=tuple(data))


def _read(data: Sequence[str]) -> Splits:
    if not 1 <= len(data) <= 3:
        raise DataError("give one file or folder, or files to train on, to validate with and to test")
    if len(data) == 1 and Path(data[0]).is_dir():
        splits = read_splits(Path(data[0]), _NAMES)
        if "train" not in splits:
            raise DataError(f"{data[0]} has no file for the train split")
        return splits
    return {split: read_table(Path(path)) for split, path in zip(_NAMES, data, strict=False)}


def _classes(where: str, rows: Dataset, label: str, kind: str) -> tuple[str, ...]:
    """Names of the classes; none for a regression."""
    feature, values = rows.features[label], [value for value in rows[label] if value is not None]
    if isinstance(feature, ClassLabel) and kind != "regression":
        return tuple(feature.names)
    numbers = all(isinstance(value, int | float) for value in values)
    whole = numbers and all(float(value).is_integer() for value in values)
    if kind == "regression" or (kind == "auto" and numbers and not whole):
        return ()
    # Whole numbers that pandas read as floats, for a row without one.
    distinct: set[Any] = {int(value) if whole else value for value in values}
    if not 2 <= len(distinct) <= MAX_CLASSES:
        raise DataError(
            f"{where}, train: column {label!r} has {len(distinct)} different labels; a classification has 2 "
            f"to {MAX_CLASSES}" + ("" if not whole else " (a regression must be asked for)")
        )
    return tuple(str(value) for value in sorted(distinct))


def _held_out(where: str, rows: Dataset, share: float, seed: int) -> Splits:
    if not 0 < share < 1 or len(rows) < 2:
        raise DataError(f"{where}: cannot hold out a share of {share:g} of {len(rows)} rows")
    parts = rows.train_test_split(test_size=max(1, round(share * len(rows))), seed=seed, load_from_cache_file=False)
    return {"train": parts["train"], "validation": parts["test"]}
