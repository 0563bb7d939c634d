"""Workers: what a candidate does to its process, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import util
from pathlib import Path

import pytest
from search_fakes import driver, outcome, plan

from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.study.workers import Answer, Task, Workers, WorkerSettings, make_workers
from autobertc.search.study.workers.base import machine_trouble
from autobertc.search.study.workers.cluster import RayTasks

EVALUATE = "search_fakes:evaluate"
TEXT = "model m { hidden: 32 heads: 2 vocab: 50 max_length: 8 }\n" + "conv: 3\n" * 3


def job(number: int, **settings: object) -> Task:
    return Task(f"{number:03d}", CandidateJob(number, 0, number, TEXT, number, settings=settings))


def answers(workers: Workers, tasks: list[Task]) -> dict[str, Answer]:
    for task in tasks:
        workers.submit(task)
    found: dict[str, Answer] = {}
    while len(found) < len(tasks):
        got = workers.wait(60)
        assert got, "no answer in a minute"
        found.update({answer.key: answer for answer in got})
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended, or will when its parent looks."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    workers = make_workers(WorkerSettings("processes", evaluate=EVALUATE, count=2, limit=60))
    workers.start()
    yield workers
    workers.close()


def test_every_failure_is_one_candidates(two: Workers) -> None:
    """One raises, one runs out of memory, one is killed, one exits; those beside them are scored."""
    bad = {"1": "raise", "3": "memory", "5": "kill", "6": "exit"}
    found = answers(two, [job(number, misbehave=bad) for number in range(8)])
    reasons = {answer.result.number: answer.result.reason for answer in found.values() if answer.result.reason}
    assert reasons == {
        1: "RuntimeError: a shape does not fit",
        3: "out of memory",
        5: "was killed (signal 9), as happens when memory runs out",
        6: "ended its process with exit code 3",
    }
    assert all(found[f"{number:03d}"].result.state == "complete" for number in (0, 2, 4, 7))
    assert not any(answer.trouble for answer in found.values())


def test_a_full_disk_is_the_machines_fault(two: Workers) -> None:
    (answer,) = answers(two, [job(0, misbehave={"0": "disk"})]).values()
    assert answer.trouble == "No space left on device: trained.safetensors"
    nested = RuntimeError("while writing")
    nested.__cause__ = OSError(28, "No space left on device")
    assert machine_trouble(nested) == "No space left on device"
    assert machine_trouble(ValueError("os error 28")) and not machine_trouble(ValueError("28"))


def test_two_at_a_time(two: Workers) -> None:
    """Both are used, and an idle one that dies is replaced."""
    while not all(worker.free for worker in two._workers):  # type: ignore[attr-defined]
        two.wait(1.0)  # one that failed before is still being replaced
        for worker in two._workers:  # type: ignore[attr-defined]
            worker.collect()
        time.sleep(0.05)
    found = answers(two, [job(number, seconds=0.3) for number in range(4)])
    assert {answer.worker for answer in found.values()} == {"process 1", "process 2"}
    os.kill(two._workers[0]._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    assert gone(two._workers[0]._process.pid)  # type: ignore[attr-defined]
    found = answers(two, [job(number) for number in range(4)])
    assert all(answer.result.state == "complete" for answer in found.values())


def test_a_task_that_a_dying_process_never_began_is_given_again(two: Workers) -> None:
    pid = two._workers[0]._process.pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    found = answers(two, [job(number) for number in range(2)])
    assert len(found) == 2 and all(answer.result.state == "complete" for answer in found.values())


def test_one_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    workers = make_workers(WorkerSettings("processes", evaluate=EVALUATE, limit=1.0))
    workers.start()
    try:
        note = tmp_path / "pids"
        started = time.monotonic()
        found = answers(workers, [job(0, misbehave={"0": "hang"}, note=str(note)), job(1)])
        assert found["000"].result.reason == "passed its limit of 1 seconds"
        assert found["001"].result.state == "complete" and time.monotonic() - started < 60
        assert all(gone(int(pid)) for pid in note.read_text().split())
    finally:
        workers.close()


def test_workers_die_with_their_driver(tmp_path: Path) -> None:
    """Also where the driver is killed in the middle of a candidate."""
    note = tmp_path / "pids"
    script = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
from search_fakes import evaluate
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.study.workers import Task, WorkerSettings, make_workers
if __name__ == "__main__":
    workers = make_workers(WorkerSettings("processes", evaluate={EVALUATE!r}))
    workers.start()
    settings = {{"misbehave": {{"0": "hang"}}, "note": {str(note)!r}}}
    workers.submit(Task("0", CandidateJob(0, 0, 0, "", 0, settings=settings)))
    workers.wait()
"""
    place = tmp_path / "driver.py"
    place.write_text(script)
    process = subprocess.Popen([sys.executable, str(place)])
    try:
        for _ in range(1200):
            if note.exists() and len(note.read_text().split()) == 2:
                break
            assert process.poll() is None, "the driver ended"
            time.sleep(0.05)
        pids = [int(pid) for pid in note.read_text().split()]
    finally:
        process.kill()
        process.wait()
    assert all(gone(pid) for pid in pids)


def test_what_cannot_be_imported_is_told() -> None:
    workers = make_workers(WorkerSettings("processes", evaluate="no_such_module:evaluate"))
    with pytest.raises(UserError, match=r"a worker cannot load no_such_module.*No module named"):
        workers.start()


def test_any_number_of_workers_gives_the_same_study(tmp_path: Path) -> None:
    """Candidates end in another order with each number; one fails in each."""
    settings = {"misbehave": {"5": "raise"}}
    outcomes = []
    for name, workers in (
        ("none", WorkerSettings("in-process", evaluate=EVALUATE)),
        ("three", WorkerSettings("processes", evaluate=EVALUATE, count=3)),
    ):
        search = driver(tmp_path / name, plan(settings=settings), workers)
        search.run()
        search.workers.close()
        outcomes.append(outcome(search.storage))
    assert outcomes[0] == outcomes[1]


def test_a_missing_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"need Ray, which is not installed: pip install 'autobertc\[ray\]'"):
        make_workers(WorkerSettings("ray"))


@pytest.mark.slow
def test_ray(tmp_path: Path) -> None:
    """A real cluster on this machine: the same study; a worker that is killed is replaced, its candidate tried again;
    one that hangs and one that always dies fail."""
    ray = pytest.importorskip("ray")
    once = tmp_path / "once"
    bad = {"3": "kill", "6": "hang"}
    settings = {"misbehave": bad, "once": str(once), "note": str(tmp_path / "pids")}
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=environment)
    try:
        there = driver(tmp_path / "ray", plan(settings=settings), WorkerSettings("ray", evaluate=EVALUATE, limit=20))
        there.run()
        here = driver(tmp_path / "here", plan())
        here.run()
        assert once.exists() and outcome(there.storage) == outcome(here.storage)
        assert there.storage.trial(0).worker.startswith("ray ")
        workers = WorkerSettings("ray", evaluate=EVALUATE, limit=2, retries=1)
        settings = {"misbehave": bad, "note": str(tmp_path / "pids")}
        search = driver(tmp_path / "failing", plan(trials=8, settings=settings), workers)
        search.run()
        search.workers.close()
        reasons = {trial.number: trial.reason for trial in search.storage.trials() if trial.state == "failed"}
        assert reasons == {
            3: "its Ray worker was lost 2 times: WorkerCrashedError",
            6: "passed its limit of 2 seconds",
        }
        assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    finally:
        with suppress(Exception):
            ray.shutdown()


def test_a_snapshot_that_was_made_again_goes_out_again(tmp_path: Path) -> None:
    class Store:
        def put(self, data: bytes) -> list[bytes]:
            return [data]

    workers = RayTasks(WorkerSettings("ray"))
    workers._ray = Store()
    path = tmp_path / "round-000001.safetensors"
    path.write_bytes(b"damaged")
    first = workers._put(str(path))
    assert first == [b"damaged"] and workers._put(str(path)) is first
    path.write_bytes(b"whole again")
    assert workers._put(str(path)) == [b"whole again"]
    path.unlink()
    assert workers._put(str(path)) == b""


def test_no_cluster_at_an_address() -> None:
    pytest.importorskip("ray")
    workers = make_workers(WorkerSettings("ray", evaluate=EVALUATE, address="127.0.0.1:1"))
    with pytest.raises(UserError, match="no Ray cluster at 127"):
        workers.start()
