"""Rows of labelled data out of files, and every fault that can be in them, found before a model sees any."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Value

from autobertc.runtime.data.cache import default_cache
from autobertc.runtime.data.errors import DataError, require_columns
from autobertc.runtime.data.reading import KINDS, check_files, is_saved, list_files, read_files
from autobertc.runtime.data.reading import read_saved_splits as read_saved
from autobertc.runtime.tasks.base import UNLABELLED, Splits

_SHOWN = 40


def read_table(path: Path) -> Dataset:
    """The rows of a file, or of a folder's files of one kind. Raises `DataError`."""
    return _read(list_files(path))


def _read(files: list[Path]) -> Dataset:
    """Files, unpacked under the hash of what they hold."""
    place = default_cache() / "tables" / check_files(files)[:32]
    table: Dataset = read_files(files, place)
    return table


def read_splits(path: Path, names: Iterable[str], config: str | None = None) -> Splits:
    """The splits with these names of a folder: saved by the library, or a file or more to each, called
    `NAME.csv`, `NAME-00000-of-00001.parquet` and the like, in it or in its subfolder `config`.

    Raises `DataError` where there is none of them.
    """
    if not path.exists():
        raise DataError(f"there is no folder {path}")
    if config is not None and (path / config).is_dir():
        path = path / config
    if is_saved(path):
        saved = read_saved(path)
        return {name: saved[name] for name in names if name in saved}
    if not path.is_dir():
        raise DataError(f"{path} is a file; give the folder that has a file for each split: {', '.join(names)}")
    splits: Splits = {}
    for name in names:
        files = [file for file in sorted(path.iterdir()) if _is_of_split(file, name)]
        if len(kinds := {file.suffix for file in files}) > 1:
            raise DataError(f"{path} has the split {name} in several kinds of file: {', '.join(sorted(kinds))}")
        if files:
            splits[name] = _read(files)
    if not splits:
        raise DataError(f"{path} has no file for any split: name them {', '.join(f'{name}.csv' for name in names)}")
    return splits


def _is_of_split(file: Path, name: str) -> bool:
    return file.suffix.lower() in KINDS and (file.stem == name or file.stem.startswith(f"{name}-"))


def check_rows(
    where: str, rows: Dataset, columns: Sequence[str], labels: Sequence[str], label: str = "label", *, needed: bool
) -> Dataset:
    """Rows whose columns are text and whose labels are the task's, as numbers in a column `label`.

    Args:
        where: the data and the split, for messages.
        labels: names of the classes; none for a number.
        label: the name of that column in the rows.
        needed: whether labels may not be withheld (-1, or no such column).

    Raises `DataError` for a missing column, a row without text or a label that is none, with its row.
    """
    if len(rows) == 0:
        raise DataError(f"{where} is empty")
    withheld = not needed and label not in rows.column_names
    require_columns(where, rows.column_names, [*columns, *([] if withheld else [label])])
    for column in columns:
        _check_text(where, rows, column)
    extra = [name for name in ("idx",) if name in rows.column_names]
    checked = rows.select_columns([*columns, *extra])
    if withheld:
        return checked
    numbers = _numbers(where, rows[label], rows.features.get(label), labels, needed)
    if numbers is None:
        return checked
    kind = ClassLabel(names=list(labels)) if labels else Value("float32")
    return checked.add_column("label", numbers, feature=kind)


def _check_text(where: str, rows: Dataset, column: str) -> None:
    feature = rows.features[column]
    if getattr(feature, "dtype", None) not in ("string", "large_string"):
        raise DataError(f"{where}: column {column!r} holds {getattr(feature, 'dtype', 'lists')}, not text")
    for number, text in enumerate(rows[column]):
        if text is None:
            raise DataError(f"{where}, row {number + 1}: column {column!r} is empty")


def _numbers(where: str, values: Any, feature: Any, labels: Sequence[str], needed: bool) -> list[Any] | None:
    values = list(values)
    if not needed and all(value in (UNLABELLED, None) for value in values):
        return None
    if not labels:
        return [_number(where, number, value) for number, value in enumerate(values)]
    if isinstance(feature, ClassLabel):
        # By name, where the data set has names: two may order them differently.
        values = [feature.int2str(value) if value >= 0 else value for value in values]
        if set(feature.names) != set(labels):
            raise DataError(f"{where}: the labels are {', '.join(feature.names)}; they must be {', '.join(labels)}")
    known = {name: number for number, name in enumerate(labels)}
    if not any(name.lstrip("-").isdigit() for name in labels):
        known |= {str(number): number for number in range(len(labels))}
    found = [known.get(_written(value)) for value in values]
    if None in found:
        number = found.index(None)
        shown = str(values[number])[:_SHOWN]
        raise DataError(f"{where}, row {number + 1}: label {shown!r} is none of {', '.join(labels)}")
    return found


def _written(value: Any) -> str:
    """A label as its class is called: readers make whole numbers floats where a row has none."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(where: str, number: int, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{where}, row {number + 1}: label {str(value)[:_SHOWN]!r} is not a number")
    return found
