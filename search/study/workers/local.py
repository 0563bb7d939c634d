"""Candidates in this process, one after the other: for debugging. There is no limit of time, and a crash is ours."""

from __future__ import annotations

from collections import deque

from autobertc.search.study.workers.base import Answer, Task, WorkerSettings, evaluate_contained, resolve, set_threads


class InProcess:
    """Evaluates in `wait`."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._queue: deque[Task] = deque()

    def start(self) -> None:
        self._evaluate = resolve(self.settings.evaluate)
        set_threads(self.settings.threads)

    def submit(self, task: Task) -> None:
        self._queue.append(task)

    def wait(self, timeout: float | None = None) -> list[Answer]:
        if not self._queue:
            return []
        return [evaluate_contained(self._evaluate, self._queue.popleft(), "this process")]

    def close(self) -> None:
        self._queue.clear()

    @property
    def places(self) -> int:
        return 1

    def describe(self) -> str:
        return "this process"
