"""One driver a study."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from autobertc.search import Study
from autobertc.search.study import locks
from autobertc.search.study.locks import SecondDriver, only_driver
from autobertc.search.study.storage import StudyStorage

HOLD = """
import sys, time
from autobertc.search.study.locks import only_driver
from autobertc.search.study.storage import StudyStorage
with only_driver(StudyStorage(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    """In this process and in another; when the first is killed, the study is free."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    process = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        refused = pytest.raises(SecondDriver, match=f"process {process.pid} on .* a second driver is refused")
        with refused, only_driver(StudyStorage(url)):
            pass
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    with only_driver(StudyStorage(url)) as lock:
        lock.check()
        with pytest.raises(SecondDriver), only_driver(StudyStorage(url)):
            pass


@pytest.fixture
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A storage without a file to lock, as a database server is: here SQLite that is not known as such."""
    monkeypatch.setattr(locks, "sqlite_file", lambda url: None)
    for name, seconds in (("SETTLE", 0.05), ("HEARTBEAT", 0.05), ("LEASE", 30.0)):
        monkeypatch.setattr(locks, name, seconds)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    StudyStorage(url).create({}, ["score"])
    return url


def test_a_lease(lease: str) -> None:
    with only_driver(StudyStorage.load(lease)) as lock:
        with pytest.raises(SecondDriver), only_driver(StudyStorage.load(lease)):
            pass
        lock.check()
    with only_driver(StudyStorage.load(lease)):
        pass


def test_a_new_study_under_a_lease(lease: str) -> None:
    """A server's storage where there is no study yet: two at once are told apart as well."""
    new = {"name": "another", "storage": lease, "population": 4}
    with Study({"layers": 2}, **new) as study:
        study.tell(study.ask(), 1.0)
        with pytest.raises(SecondDriver):
            Study({"layers": 2}, **new)
    with Study({"layers": 2}, **new) as study:
        assert study.best.number == 0


def test_a_lost_lease_stops_ask_and_tell(lease: str) -> None:
    with Study({"layers": 2}, storage=lease, name="another") as study:
        candidate = study.ask()
        study._lock.lost.set()
        with pytest.raises(SecondDriver, match="has taken this study over"):
            study.tell(candidate, 1.0)


def test_a_journal_has_a_lock_beside_optunas_own(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path / 'study.log'}"
    storage = StudyStorage(url)
    with only_driver(storage) as lock:
        storage.create({}, ["score"])  # with Optuna's lock, which would be waited for half a minute and then broken
        with pytest.raises(SecondDriver), only_driver(StudyStorage(url)):
            pass
        lock.check()


def test_a_lease_is_renewed(lease: str) -> None:
    storage = StudyStorage.load(lease)
    with only_driver(storage):
        first = storage.read_attribute("lease")["until"]
        for _ in range(100):
            time.sleep(0.05)
            if storage.read_attribute("lease")["until"] > first:
                break
        assert storage.read_attribute("lease")["until"] > first


def test_a_lease_of_a_dead_process_is_taken_over(lease: str) -> None:
    """At once on this machine; of another machine's when its time is up."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    storage = StudyStorage.load(lease)
    here = locks._holder()
    storage.set_attribute("lease", {**here, "pid": ended.pid, "name": "x", "until": time.time() + 60})
    with only_driver(StudyStorage.load(lease)):
        pass
    storage.set_attribute("lease", {**here, "host": "elsewhere", "name": "x", "until": time.time() + 60})
    with pytest.raises(SecondDriver, match="on elsewhere"), only_driver(StudyStorage.load(lease)):
        pass
    storage.set_attribute("lease", {**here, "host": "elsewhere", "name": "x", "until": time.time() - 1})
    with only_driver(StudyStorage.load(lease)):
        pass


def test_a_lost_lease_stops_the_driver(lease: str) -> None:
    """A driver that slept through its lease finds another in its place."""
    storage = StudyStorage.load(lease)
    with only_driver(storage) as lock:
        storage.set_attribute("lease", {**locks._holder(), "name": "another", "until": time.time() + 60})
        assert lock.lost.wait(10)
        with pytest.raises(SecondDriver, match="has taken this study over"):
            lock.check()
    assert StudyStorage.load(lease).attribute("lease")["name"] == "another"
