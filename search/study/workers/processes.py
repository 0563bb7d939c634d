"""Candidates in processes of this machine, each started once, with everything imported.

A worker leads a process group of its own: what it starts is killed with it, and Ctrl-C in a terminal reaches the
driver alone. When the driver dies, however it does, its workers kill themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from autobertc.dsl.errors import UserError
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

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Seconds of imports after which a worker is taken to hang.
START_LIMIT = 600.0


class Processes:
    """A fixed number of worker processes."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._queue: deque[Task] = deque()
        self._workers: list[_Worker] = []
        self._given_back: set[str] = set()

    def start(self) -> None:
        """Raises `UserError` where the workers cannot import what they are to do."""
        self._workers = [_Worker(self.settings, index, self._take_back) for index in range(self.places)]
        try:
            for worker in self._workers:
                worker.await_ready()
        except BaseException:
            self.close()
            raise

    def submit(self, task: Task) -> None:
        self._given_back.discard(task.key)
        self._queue.append(task)
        self._dispatch()

    def _take_back(self, task: Task) -> bool:
        """Queue a task again that a dying process never began; once, for it may be what kills them."""
        if task.key in self._given_back:
            return False
        self._given_back.add(task.key)
        self._queue.appendleft(task)
        return True

    def _dispatch(self) -> None:
        for worker in self._workers:
            if self._queue and worker.free:
                if worker.died_idle():
                    continue
                worker.give(self._queue.popleft())

    def wait(self, timeout: float | None = None) -> list[Answer]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self._dispatch()
            busy = [worker for worker in self._workers if worker.task is not None]
            starting = [worker for worker in self._workers if not worker.ready]
            if not busy and not (self._queue and starting):
                return []
            deadlines = [worker.deadline for worker in busy if worker.deadline]
            due = min([*deadlines, *([end] if end is not None else [])], default=None)
            pause = None if due is None else max(0.0, due - time.monotonic())
            wait([each for worker in {*busy, *starting} for each in worker.signals()], pause)
            answers = [answer for worker in {*busy, *starting} if (answer := worker.collect()) is not None]
            if answers or (end is not None and time.monotonic() >= end):
                self._dispatch()
                return sorted(answers, key=lambda answer: answer.key)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers = []
        self._queue.clear()

    @property
    def places(self) -> int:
        return max(1, self.settings.count)

    def describe(self) -> str:
        count = self.places
        plural = "" if self.settings.threads == 1 else "s"
        each = f"{self.settings.threads} thread{plural}"
        return f"1 process of {each}" if count == 1 else f"{count} processes of {each} each"


class _Worker:
    """A place for one process after another, and the task that it is at."""

    def __init__(self, settings: WorkerSettings, index: int, take_back: Callable[[Task], bool]) -> None:
        self.settings, self.index, self._take_back = settings, index, take_back
        self.task: Task | None = None
        self.deadline: float | None = None
        self._started = 0.0
        self._launch()

    def _launch(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self.settings.evaluate, self.settings.threads)
        self._process = context.Process(target=_work, args=arguments, name=f"autobertc worker {self.index}")
        with _environment(dict.fromkeys(_THREAD_VARIABLES, str(self.settings.threads))):
            self._process.start()
        theirs.close()
        self.ready = self._begun = False

    @property
    def free(self) -> bool:
        return self.ready and self.task is None

    def died_idle(self) -> bool:
        """Whether the process ended with nothing to do; a new one is started then."""
        if self._process.exitcode is None:
            return False
        self._replace()
        return True

    def await_ready(self) -> None:
        """Until imports are done. Raises `UserError` where they fail."""
        if not wait([self._pipe, self._process.sentinel], START_LIMIT):
            raise UserError("a worker process did not start within ten minutes")
        self._hear()
        if not self.ready:
            raise UserError("a worker process ended while it started")

    def give(self, task: Task) -> None:
        self.task, self._started, self._begun = task, time.time(), False
        self.deadline = time.monotonic() + task.limit(self.settings) if self.settings.limit else None
        with suppress(OSError):  # it has just died: `collect` finds out
            self._pipe.send(task)

    def signals(self) -> list[Any]:
        return [self._pipe, self._process.sentinel]

    def _hear(self) -> Answer | None:
        """What the process has to say, None for nothing. Raises `UserError` where it could not be made ready."""
        try:
            while self._pipe.poll():
                message = self._pipe.recv()
                if isinstance(message, Answer):
                    return message
                if message == "ready":
                    self.ready = True
                elif message == "begun":
                    self._begun = True
                else:
                    raise UserError(message)
        except (EOFError, OSError):
            pass  # it has ended
        return None

    def collect(self) -> Answer | None:
        """The answer, if there is one: the process's own, or for one that died or passed its limit."""
        answer = self._hear()
        if answer is not None:
            self.task = self.deadline = None
            if is_spoilt(answer.result.reason):
                self._replace()
            return answer
        if self._process.exitcode is not None:
            # One that was dying when it was given the task, as an idle one that was killed, says nothing of the task.
            if self.task is not None and not self._begun and self._take_back(self.task):
                self.task = self.deadline = None
                self._replace()
                return None
            return self._lost(_describe_end(self._process.exitcode))
        if self.deadline is not None and time.monotonic() >= self.deadline:
            assert self.task is not None
            return self._lost(f"passed its limit of {self.task.limit(self.settings):g} seconds")
        return None

    def _lost(self, reason: str) -> Answer | None:
        """Give up on the process: a new one takes its place, and the task has failed."""
        task = self.task
        if task is None and not self.ready:
            raise UserError(f"a worker process {reason} while it started")
        self.task = self.deadline = None
        self._replace()
        if task is None:
            return None
        worker = f"process {self.index + 1}"
        return Answer(task.key, failed(task.job, reason), self._started, time.time(), worker)

    def _replace(self) -> None:
        self.kill()
        self._launch()

    def kill(self) -> None:
        """End the process and everything that it started."""
        if self._process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if self._process.exitcode is None:  # it may not lead its group yet
                self._process.kill()
        self._process.join()
        self._pipe.close()


def _describe_end(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (signal 9), as happens when memory runs out"
    return f"was ended by signal {-code}" if code < 0 else f"ended its process with exit code {code}"


def _work(pipe: Connection[Any, Any], evaluate: str, threads: int) -> None:
    """The life of a worker process."""
    with suppress(OSError):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    worker = multiprocessing.current_process().name.removeprefix("autobertc worker ")
    try:
        function = resolve(evaluate)
        set_threads(threads)
    except Exception as error:
        pipe.send(f"a worker cannot load {evaluate}: {type(error).__name__}: {error}")
        return
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
            pipe.send("begun")
        except (EOFError, OSError):
            return
        pipe.send(evaluate_contained(function, task, f"process {int(worker) + 1}"))


def _die_with_parent() -> None:
    """Wait for the driver's end, then kill this process group."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables for a process that is started inside."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
