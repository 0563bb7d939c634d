"""The documents of a source: one column, `text`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset, IterableDataset, concatenate_datasets

from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.embedded import PARTS, embedded_documents
from autobertc.runtime.data.errors import DataError, require_columns
from autobertc.runtime.data.reading import (
    KINDS,
    check_files,
    hash_files,
    is_path,
    is_saved,
    list_files,
    read_files,
    read_hub,
    read_saved,
)
from autobertc.runtime.data.sources import DEFAULT, TextSource

_SAMPLED = {"paragraph": "paragraph", "line": "line", "file": "document"}


def _texts(table: Any, source: TextSource) -> Any:
    """The one column of a table that counts, as `text`. Raises `DataError`."""
    columns = table.column_names
    if columns is None:  # a stream says what it has with its first row
        columns = list(next(iter(table), {}))
    require_columns(str(source), columns, [source.column])
    table = table.select_columns([source.column])
    if source.column != "text":
        table = table.rename_column(source.column, "text")
    kind = table.features["text"] if table.features else None
    if kind is not None and getattr(kind, "dtype", None) not in ("string", "large_string"):
        raise DataError(f"column {source.column!r} of {source} holds {getattr(kind, 'dtype', 'lists')}, not text")
    return table


def _checked_files(source: TextSource) -> tuple[list[Path], str]:
    files = list_files(Path(source.name))
    return files, check_files(files)


def _from_files(source: TextSource, files: list[Path], place: Path, streaming: bool) -> Any:
    text = KINDS[files[0].suffix.lower()] == "text"
    settings = {"sample_by": _SAMPLED[source.documents]} if text else {}
    return read_files(files, place, streaming, **settings)


def fingerprint(source: TextSource, cache: Path) -> str:
    """A hash of what a source holds and of how it is cut into sentences; for the Hub, of the revision it is at.

    Raises `DataError`.
    """
    cut: list[Any] = [source.sentences, source.column]
    if source.embedded:
        return digest("embedded", cut, [list(embedded_documents(part, cache)["text"]) for part in _parts(source)])
    if not is_path(source.name):
        return digest("hub", cut, read_hub(source.name, source.config, source.split)._fingerprint)
    if is_saved(Path(source.name)):
        return digest("saved", cut, source.split, hash_files(sorted(Path(source.name).rglob("*.arrow"))))
    return digest("files", cut, source.documents, _checked_files(source)[1])


def _parts(source: TextSource) -> list[str]:
    return [source.config] if source.config else list(PARTS)


@contextmanager
def documents(source: TextSource, cache: Path) -> Iterator[Dataset]:
    """The documents of a source, inside a `with` block: what the library unpacks of files goes at its end.

    Raises `DataError` where there is no such source, or a fault in it.
    """
    if source.embedded:
        yield concatenate_datasets([embedded_documents(part, cache) for part in _parts(source)])
    elif not is_path(source.name):
        yield _texts(read_hub(source.name, source.config, source.split), source)
    elif is_saved(Path(source.name)):
        yield _texts(read_saved(Path(source.name), source.split), source)
    else:
        files, _ = _checked_files(source)
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix="unpacked-", ignore_cleanup_errors=True) as place:
            yield _texts(_from_files(source, files, Path(place), streaming=False), source)


def stream(source: TextSource, cache: Path) -> IterableDataset:
    """The documents of a source, read as they are asked for. Raises `DataError`."""
    if is_path(source.name) and not source.embedded and not is_saved(Path(source.name)):
        files, _ = _checked_files(source)
        return _texts(_from_files(source, files, cache, streaming=True), source)
    if not source.embedded and not is_path(source.name):
        return _texts(read_hub(source.name, source.config, source.split, streaming=True), source)
    with documents(source, cache) as table:
        return table.to_iterable_dataset()


def no_documents(sources: list[TextSource]) -> DataError:
    """What to say where text cannot make pairs."""
    return DataError(
        f"{', '.join(map(str, sources))}: fewer than two documents with words in them, and a pair's second sentence "
        f"comes from another document half the time; in a text file a blank line ends a document "
        f"(or choose documents by line or by file), and the default corpus is `{DEFAULT}`"
    )
