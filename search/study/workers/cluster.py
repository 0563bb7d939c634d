"""Candidates as tasks of a Ray cluster.

Machines need not share files: the super-net's snapshot goes out through Ray's object store, once a round, and trained
tensors come back with the result. The driver alone writes the study.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from autobertc.dsl.errors import UserError
from autobertc.runtime.files import write_bytes
from autobertc.search.study.workers.base import (
    Answer,
    Task,
    WorkerSettings,
    evaluate_contained,
    failed,
    is_spoilt,
    resolve,
    set_threads,
)


class RayTasks:
    """One task a candidate."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._queue: deque[tuple[Task, int]] = deque()
        self._running: dict[Any, tuple[Task, int, float]] = {}
        self._snapshot: tuple[tuple[str, int, int], Any] | None = None
        self._ours = False
        self.places = 1  # as the cluster was when it was last asked

    def start(self) -> None:
        """Connect, or start a cluster on this machine. Raises `UserError` where there is none at the address."""
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        if not ray.is_initialized():
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            if self.settings.address:
                _knock(self.settings.address)
                options["address"] = self.settings.address
            else:
                # Workers of this machine find modules where this process does.
                path = os.pathsep.join(entry for entry in sys.path if entry)
                options |= {"include_dashboard": False, "runtime_env": {"env_vars": {"PYTHONPATH": path}}}
            try:
                ray.init(**options)
            except (ConnectionError, ValueError, RuntimeError) as error:
                place = self.settings.address or "this machine"
                raise UserError(f"no Ray cluster at {place}: {' '.join(str(error).split())[:300]}") from error
            self._ours = True
        self._task = ray.remote(
            num_cpus=self.settings.threads, num_gpus=self.settings.gpus or None, max_retries=0, max_calls=0
        )(_run)

    def _room(self) -> int:
        if self.settings.count:
            return self.settings.count
        resources = self._ray.cluster_resources()
        room = int(resources.get("CPU", 1) // self.settings.threads)
        if self.settings.gpus:
            room = min(room, int(resources.get("GPU", 0) / self.settings.gpus))
        return max(1, room)

    def submit(self, task: Task) -> None:
        self._queue.append((task, 0))

    def _dispatch(self) -> None:
        self.places = self._room()
        room = self.places - len(self._running)
        while self._queue and room > 0:
            task, attempts = self._queue.popleft()
            settings = (self.settings.evaluate, self.settings.threads, task.limit(self.settings))
            reference = self._task.remote(task, self._put(task.job.snapshot), *settings)
            self._running[reference] = task, attempts, time.time()
            room -= 1

    def _put(self, snapshot: str | None) -> Any:
        """The snapshot's bytes in the object store; only the last one is kept there. A file that was made again is
        another; one that is missing is empty, which its candidate fails by and the driver sees to."""
        if snapshot is None:
            return None
        try:
            about = Path(snapshot).stat()
            version = snapshot, about.st_mtime_ns, about.st_size
            if self._snapshot is None or self._snapshot[0] != version:
                self._snapshot = version, self._ray.put(Path(snapshot).read_bytes())
        except FileNotFoundError:
            return b""
        return self._snapshot[1]

    def wait(self, timeout: float | None = None) -> list[Answer]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self._dispatch()
            if not self._running:
                return []
            left = None if end is None else max(0.0, end - time.monotonic())
            # A cluster may have grown meanwhile: look again now and then.
            pause = min(5.0, left) if left is not None else 5.0
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=pause)
            answers = [answer for each in done if (answer := self._collect(each)) is not None]
            if answers or (end is not None and time.monotonic() >= end):
                self._dispatch()
                return answers

    def _collect(self, reference: Any) -> Answer | None:
        """A task's answer; None where its worker or node was lost and it is tried again."""
        task, attempts, started = self._running.pop(reference)
        errors = self._ray.exceptions
        answer: Answer
        try:
            answer, tensors = self._ray.get(reference)
        except (errors.RayError, ConnectionError) as error:
            if attempts < self.settings.retries:
                self._queue.appendleft((task, attempts + 1))
                return None
            reason = f"its Ray worker was lost {attempts + 1} times: {type(error).__name__}"
            return Answer(task.key, failed(task.job, reason), started, time.time(), "ray")
        if tensors is not None and task.job.output is not None:
            Path(task.job.output).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(Path(task.job.output), tensors)
            answer = replace(answer, result=replace(answer.result, tensors=task.job.output))
        done: Answer = answer
        return done

    def close(self) -> None:
        for reference in self._running:
            with suppress(Exception):
                self._ray.cancel(reference, force=True)
        self._running.clear()
        self._queue.clear()
        self._snapshot = None
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def describe(self) -> str:
        return f"Ray at {self.settings.address}" if self.settings.address else "Ray on this machine"


def _knock(address: str) -> None:
    """See that something answers at "ray://host:port", which Ray itself tries for minutes. Raises `UserError`."""
    host, _, port = address.removeprefix("ray://").partition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise UserError(f"no Ray cluster at {address}: {error.strerror or error}") from error


def _run(task: Task, snapshot: bytes | None, evaluate: str, threads: int, limit: float) -> tuple[Answer, bytes | None]:
    """One candidate on a machine of the cluster: files are this machine's own, and gone afterwards."""
    worker = f"ray {os.uname().nodename} {os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="autobertc-") as folder:
        output = Path(folder, "trained.safetensors")
        job = replace(task.job, output=str(output) if task.job.output else None)
        if snapshot is not None:
            Path(folder, "snapshot.safetensors").write_bytes(snapshot)
            job = replace(job, snapshot=str(Path(folder, "snapshot.safetensors")))
        answer = _limited(Task(task.key, job), evaluate, threads, limit, worker)
        tensors = output.read_bytes() if task.job.output and output.exists() else None
    if is_spoilt(answer.result.reason) or "passed its limit" in answer.result.reason:
        # Ray puts another worker in this one's place; the answer is on its way first.
        threading.Timer(1.0, _end_with_children).start()
    return answer, tensors


def _limited(task: Task, evaluate: str, threads: int, limit: float, worker: str) -> Answer:
    """Evaluate in a thread of its own, for as long as it may."""
    answers: list[Answer] = []

    def work() -> None:
        set_threads(threads)  # OpenMP keeps the number for each thread
        answers.append(evaluate_contained(lambda job: resolve(evaluate)(job), task, worker))

    started = time.time()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit or None)
    if answers:
        return answers[0]
    return Answer(task.key, failed(task.job, f"passed its limit of {limit:g} seconds"), started, time.time(), worker)


def _end_with_children() -> None:
    """End this worker and what it started."""
    with suppress(ImportError):
        import psutil

        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os.kill(os.getpid(), signal.SIGKILL)
