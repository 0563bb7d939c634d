"""Writing outputs whole or not at all: beside their place first, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autobertc.dsl.errors import UserError


class OutputError(UserError):
    """An output that cannot be written, in words for a user."""


def _fail(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror or error}")


def _file_mode() -> int:
    """The mode of a new file. Temporary files are private to their owner; what they become is as readable as any."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _beside(path: Path) -> Path:
    """A new name in the folder of `path`: known before anything is made, so that an interruption leaves nothing."""
    return path.parent / f".autobertc-{secrets.token_hex(8)}.partial"


def remove_partial(folder: Path) -> None:
    """Remove files in a folder that a killed process was writing. Only where no other one writes there."""
    for path in folder.glob(".autobertc-*.partial"):
        path.unlink(missing_ok=True)


def _make_parents(path: Path) -> list[Path]:
    """Make the folders above `path`; those that were not there, the innermost first."""
    made = []
    for parent in path.parents:
        if parent.exists():
            break
        made.append(parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    return made


def _put(partial: Path, path: Path) -> None:
    """Give a finished folder its place, and what was there up."""
    mode = _file_mode()
    for file in partial.rglob("*"):
        file.chmod(mode | (mode & 0o444) >> 2 if file.is_dir() else mode)
    partial.chmod(mode | (mode & 0o444) >> 2)
    if not (path.is_dir() and any(path.iterdir())):
        partial.rename(path)
        return
    old = partial.with_suffix(".old")
    path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


@contextmanager
def new_directory(path: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; at the end of the block it takes its place at `path`, and after an exception it is gone.

    `replace` allows `path` to be a folder with content, which then goes. Parents are made, and unmade after an
    exception. Raises `OutputError` where `path` is taken or cannot be written.
    """
    path = Path(path).resolve()
    if path.is_dir() and any(path.iterdir()) and not replace:
        raise OutputError(f"cannot write {path}: the folder is not empty")
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write {path}: it is a file, not a folder")
    made: list[Path] = []
    partial = _beside(path)
    try:
        made = _make_parents(path)
        partial.mkdir(mode=0o700)
        yield partial
        _put(partial, path)
    except OSError as error:
        raise _fail(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not path.exists():
            for parent in made:
                with suppress(OSError):
                    parent.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what a link points to, not the link. Raises `OutputError`."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    partial = None
    try:
        if path.exists() and not path.is_file():
            # /dev/stdout or a pipe: nothing may take its place.
            path.write_bytes(data)
            return
        place = path.resolve()
        mode = place.stat().st_mode & 0o777 if place.exists() else _file_mode()
        partial = _beside(place)
        with partial.open("xb") as file:
            file.write(data)
        partial.chmod(mode)
        partial.replace(place)
    except OSError as error:
        raise _fail(path, error) from error
    finally:
        if partial is not None:
            with suppress(OSError):
                partial.unlink()
