"""Tables and text from files, folders and the Hugging Face Hub, each fault of theirs one clear message.

What files hold is looked through before the library reads them: it says of a bad file that something went wrong.
"""

from __future__ import annotations

import codecs
import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetDict, IterableDataset, load_dataset, load_from_disk
from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from autobertc.runtime.data.errors import DataError, reason

KINDS = {
    ".txt": "text",
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
"""The library's readers by the ending of a file's name."""
_SAVED = ("state.json", "dataset_dict.json", "dataset_info.json")
_HUB_NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
_CHUNK = 2**20


@contextmanager
def quiet(progress: bool = True) -> Iterator[None]:
    """The library's log kept silent: its errors are raised as well, and a user reads one message. `progress` False:
    no progress bars either."""
    before, bars = datasets.logging.get_verbosity(), not datasets.utils.are_progress_bars_disabled()
    datasets.logging.set_verbosity(logging.CRITICAL + 1)
    if not progress:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)
        if bars:
            datasets.enable_progress_bars()


def is_path(name: str) -> bool:
    """Whether a name is a file's or a folder's rather than one of the Hub's: it is there, or looks like one."""
    path = Path(name)
    return path.exists() or path.suffix.lower() in KINDS or _HUB_NAME.fullmatch(name) is None


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by the library's `save_to_disk`."""
    return any((folder / name).is_file() for name in _SAVED)


def list_files(path: Path) -> list[Path]:
    """The data files of a path: itself, or those below a folder, in order of their names, all of one kind.

    Raises `DataError` where there are none, or of several kinds.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in KINDS:
            raise DataError(f"cannot tell what {path} holds: its name must end in one of {', '.join(KINDS)}")
        return [path]
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in KINDS and file.is_file())
    if not files:
        raise DataError(f"{path} holds no data files (names that end in one of {', '.join(KINDS)})")
    if len(kinds := {file.suffix.lower() for file in files}) > 1:
        raise DataError(
            f"{path} holds files of several kinds ({', '.join(sorted(kinds))}): name one file or folder a kind"
        )
    return files


def check_files(files: list[Path]) -> str:
    """A hash of what files hold, after looking that each can be read. Raises `DataError`."""
    whole = hashlib.sha256()
    for path in files:
        try:
            whole.update(_check_file(path))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return whole.hexdigest()


def hash_files(files: list[Path]) -> str:
    """A hash of what files hold. Raises `DataError`."""
    whole = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return whole.hexdigest()


def _check_file(path: Path) -> bytes:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    content = hashlib.sha256(path.suffix.encode())
    binary = KINDS[path.suffix.lower()] == "parquet"
    decoder, seen, blank = codecs.getincrementaldecoder("utf-8")(), 0, not binary
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            content.update(chunk)
            if not binary:
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    # What was left over from the chunk before stands at the front of what it looked at.
                    place = seen - (len(error.object) - len(chunk)) + error.start
                    raise _not_utf8(path, place) from error
                if "\0" in text:
                    raise DataError(f"{path} is not a text file: it has a NUL byte; UTF-16 must be made UTF-8 first")
                blank = blank and not text.strip("\ufeff \t\r\n")
            seen += len(chunk)
            if not chunk:
                break
    if blank:
        raise DataError(f"{path} is empty: it holds nothing but white space")
    if binary:
        _check_parquet(path)
    return content.digest()


def _not_utf8(path: Path, place: int) -> DataError:
    with path.open("rb") as file:
        line = file.read(place).count(b"\n") + 1
    return DataError(
        f"{path} is not UTF-8: a bad byte in line {line}, byte {place}; "
        f"convert it first, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
    )


def _check_parquet(path: Path) -> None:
    try:
        with ParquetFile(path) as file:
            rows = file.metadata.num_rows
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file: {reason(error)}; fetch or write it again") from error
    if rows == 0:
        raise DataError(f"{path} is empty: a Parquet file of no rows")


def read_files(files: list[Path], cache: Path, streaming: bool = False, **settings: Any) -> Dataset | IterableDataset:
    """The rows of files of one kind that `check_files` passed; `settings` are the reader's own. Raises `DataError`."""
    kind = KINDS[files[0].suffix.lower()]
    if files[0].suffix.lower() == ".tsv":
        settings["sep"] = "\t"
    names = [str(path.resolve()) for path in files]
    where = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    try:
        with quiet():
            return load_dataset(
                kind, data_files=names, split="train", streaming=streaming, cache_dir=str(cache), **settings
            )
    except Exception as error:  # each reader raises kinds of its own
        if "corresponds to no data" in str(error):  # the library's words for columns without rows
            raise DataError(f"{where} has no rows") from error
        raise DataError(f"cannot read {where}: {reason(error)}") from error


def read_saved(folder: Path, split: str) -> Dataset:
    """A split of a folder that the library's `save_to_disk` wrote. Raises `DataError`."""
    splits = read_saved_splits(folder)
    if split not in splits:
        raise DataError(f"{folder} has no split {split!r}, only {', '.join(map(repr, splits))}")
    return splits[split]


def read_saved_splits(folder: Path) -> DatasetDict:
    """All splits of a saved folder; of a folder of one data set, `train`. Raises `DataError`."""
    try:
        with quiet():
            saved = load_from_disk(str(folder))
    except Exception as error:
        raise DataError(f"cannot read the saved data set {folder}: {reason(error)}") from error
    return saved if isinstance(saved, DatasetDict) else DatasetDict(train=saved)


def read_hub(name: str, config: str | None, split: str | None, streaming: bool = False) -> Any:
    """A data set of the Hugging Face Hub: a split of it, or all by name. Raises `DataError`."""
    try:
        with quiet():
            return load_dataset(name, config, split=split, streaming=streaming)
    except Exception as error:
        called = name if config is None else f"{name}:{config}"
        raise DataError(
            f"cannot load {called} from the Hugging Face Hub: {reason(error)}; there is no file or folder {name} either"
        ) from error
