"""One driver a study: a lock on a file beside SQLite, a lease with a heartbeat in any other storage."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobertc.dsl.errors import UserError
from autobertc.search.study.database import sqlite_file
from autobertc.search.study.storage import StudyStorage

# Seconds: how long a lease holds without a heartbeat, how often one comes, how long a new holder looks for a rival.
LEASE, HEARTBEAT, SETTLE = 60.0, 10.0, 1.0
_KEY = "lease"


class SecondDriver(UserError):
    """Another driver works on the study."""


@dataclass(frozen=True)
class Lock:
    """A held lock."""

    lost: threading.Event

    def check(self) -> None:
        """Raise `SecondDriver` where another driver has taken the study over, because ours was not heard of."""
        if self.lost.is_set():
            raise SecondDriver("another driver has taken this study over; this one stops")


@contextmanager
def only_driver(storage: StudyStorage) -> Iterator[Lock]:
    """Be the study's driver inside the block. A study that is kept on a server has to be prepared before.

    Raises `SecondDriver`.
    """
    if storage.url == ":memory:":
        yield Lock(threading.Event())
        return
    file = sqlite_file(storage.url)
    with _file_lock(file) if file is not None else _lease(storage) as lock:
        yield lock


def _holder() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _refusal(holder: dict[str, Any]) -> SecondDriver:
    who = f"process {holder['pid']} on {holder['host']}" if "pid" in holder else "another process"
    return SecondDriver(f"{who} drives this study already; a second driver is refused. `search status` looks on")


@contextmanager
def _file_lock(file: Path) -> Iterator[Lock]:
    """The operating system frees it when the process ends, however it does."""
    from filelock import FileLock, Timeout

    place = file.with_name(f"{file.name}.driver.lock")  # Optuna's journal has a lock of its own at "FILE.lock"
    lock = FileLock(place)
    note = file.with_name(f"{file.name}.driver")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        holder: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            holder = json.loads(note.read_text(encoding="utf-8"))
        raise _refusal(holder) from error
    try:
        note.write_text(json.dumps(_holder()), encoding="utf-8")
        yield Lock(threading.Event())
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _lease(storage: StudyStorage) -> Iterator[Lock]:
    """An attribute of the study with a name and a time until which it holds.

    A holder of this machine whose process has ended is passed over at once; a silent one elsewhere when its time is up.
    """
    storage.refresh()
    _refuse_if_held(storage.attribute(_KEY))
    ours = {**_holder(), "name": secrets.token_hex(8)}
    _renew(storage, ours)
    # Two that came at once both wrote; the one that wrote last stays.
    time.sleep(SETTLE)
    storage.refresh()
    if storage.attribute(_KEY)["name"] != ours["name"]:
        raise _refusal(storage.attribute(_KEY))
    lost, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(storage, ours, lost, stop), daemon=True)
    thread.start()
    try:
        yield Lock(lost)
    finally:
        stop.set()
        thread.join()
        if not lost.is_set():
            with suppress(UserError):
                storage.set_attribute(_KEY, {**ours, "until": 0.0})


def _refuse_if_held(held: dict[str, Any] | None) -> None:
    if held is None or held["until"] < time.time():
        return
    if held["host"] == socket.gethostname() and not _alive(held["pid"]):
        return
    raise _refusal(held)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _renew(storage: StudyStorage, ours: dict[str, Any]) -> None:
    storage.set_attribute(_KEY, {**ours, "until": time.time() + LEASE})


def _beat(storage: StudyStorage, ours: dict[str, Any], lost: threading.Event, stop: threading.Event) -> None:
    """Renew until told to stop, or until another holds the lease, or it cannot be renewed in time."""
    renewed = time.monotonic()
    while not stop.wait(HEARTBEAT):
        try:
            if storage.read_attribute(_KEY)["name"] != ours["name"]:
                lost.set()
                return
            _renew(storage, ours)
            renewed = time.monotonic()
        except UserError:
            if time.monotonic() - renewed > LEASE:
                lost.set()
                return
