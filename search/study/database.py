"""Reaching a study's database: an Optuna storage, opened and called with patience, its troubles told in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from autobertc.dsl.errors import UserError

Answer = TypeVar("Answer")

# Seconds: how long one attempt waits for SQLite's lock, and how long attempts go on.
ATTEMPT, PATIENCE = 5.0, 60.0


class StorageError(UserError):
    """A database that cannot be read or written, in words for a user."""


def open_database(url: str) -> Any:
    """The Optuna storage of a URL; `None` in memory, as `:memory:`. Raises `StorageError`.

    `sqlite:///PATH` and whatever else SQLAlchemy knows, and `journal:///PATH` for Optuna's log file.
    """
    import optuna
    from optuna import storages

    if url == ":memory:":
        return storages.InMemoryStorage()
    if url.startswith("journal:///"):
        from optuna.storages import journal

        return storages.JournalStorage(journal.JournalFileBackend(url.removeprefix("journal:///")))
    options: dict[str, Any] = {"connect_args": {"timeout": ATTEMPT}} if url.startswith("sqlite:") else {}
    try:
        return patiently(url, lambda: storages.RDBStorage(url, engine_kwargs=options))
    except ImportError as error:
        raise StorageError(f"the storage {url} needs a database driver that is not installed: {error}") from error
    except RuntimeError as error:  # Optuna's own check of its tables
        raise StorageError(
            f"the storage {url} was made by another version of Optuna than this {optuna.__version__}: {error}"
        ) from error


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL or a journal; None for a server or for memory."""
    for prefix in ("sqlite:///", "journal:///"):
        if url.startswith(prefix):
            return Path(url.removeprefix(prefix).partition("?")[0])
    return None


def patiently(url: str, call: Callable[[], Answer], patience: float | None = None) -> Answer:
    """Make a call, again for up to `patience` seconds while another program has the database locked.

    Raises `StorageError` where it stays so, where the disk is full, and for other troubles of the database.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    patience = PATIENCE if patience is None else patience
    end = time.monotonic() + patience
    while True:
        try:
            return call()
        except ArgumentError as error:
            raise StorageError(f"{url} is no storage's URL, such as sqlite:///study.db: {error}") from error
        except (StorageInternalError, SQLAlchemyError) as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            if "locked" in reason or "busy" in reason:
                if time.monotonic() < end:
                    time.sleep(0.05)
                    continue
                raise StorageError(
                    f"the storage {url} was locked by another program for {patience:.0f} seconds; nothing is lost: "
                    "resume when that program has ended"
                ) from error
            if "disk is full" in reason or "No space" in reason:
                raise StorageError(
                    f"no space left for the storage {url}; nothing that was written is lost: make room, then resume"
                ) from error
            raise StorageError(f"cannot use the storage {url}: {reason}") from error
