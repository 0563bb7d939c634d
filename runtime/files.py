"""Writing outputs whole or not at all: beside their place first, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autobertc.dsl.errors import UserError


class OutputError(UserError):
    """An output that cannot be written, in words for a user."""


def _fail(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def new_directory(path: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; at the end of the block it takes its place at `path`, and after an exception it is gone.

    `replace` allows `path` to be a folder with content, which then goes. Parents are made. Raises `OutputError`
    where `path` is taken or cannot be written.
    """
    path = Path(path).absolute()
    if path.is_dir() and any(path.iterdir()) and not replace:
        raise OutputError(f"cannot write {path}: the folder is not empty")
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write {path}: it is a file, not a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent))
    except OSError as error:
        raise _fail(path, error) from error
    try:
        yield partial
        # A temporary folder is private to its owner; its final form is as readable as any other.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o777 & ~mask)
        if path.is_dir() and any(path.iterdir()):
            old = partial.with_suffix(".old")
            path.rename(old)
            partial.rename(path)
            shutil.rmtree(old)
        else:
            partial.rename(path)
    except OSError as error:
        raise _fail(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises `OutputError`."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    partial = None
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else None
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name[:100]}.", delete=False
        ) as file:
            partial = Path(file.name)
            file.write(text)
        if mode is None:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        partial.chmod(mode)
        partial.replace(path)
    except OSError as error:
        raise _fail(path, error) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
