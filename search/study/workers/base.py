"""What all workers have in common: tasks, answers, and the evaluation itself with its failures contained."""

from __future__ import annotations

import errno
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

from autobertc.runtime.data.errors import DataError
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.evaluation.settings import EvaluationError
from autobertc.search.sections import WorkersSection


@dataclass(frozen=True)
class WorkerSettings(WorkersSection):
    """Who evaluates, and what.

    Attributes:
        evaluate: "package.module:function"; it takes a `CandidateJob` and returns a `CandidateResult`.
    """

    evaluate: str = "autobertc.search.evaluation.candidate:evaluate"


@dataclass(frozen=True)
class Task:
    """A job.

    Attributes:
        key: the name by which its answer comes back.
        allowance: how many times the limit of a candidate it may take, being that much longer.
    """

    key: str
    job: CandidateJob
    allowance: float = 1.0

    def limit(self, settings: WorkerSettings) -> float:
        """Seconds that it may take; 0 is without end."""
        return settings.limit * self.allowance


@dataclass(frozen=True)
class Answer:
    """What came of a task.

    Attributes:
        started, finished: seconds since 1970.
        worker: who did it.
        trouble: what is wrong with the machine, the data or the settings and not with the candidate, such as a full
            disk; the task is to be done again.
    """

    key: str
    result: CandidateResult
    started: float
    finished: float
    worker: str = ""
    trouble: str = ""


class Workers(Protocol):
    """Evaluate tasks, in any order."""

    settings: WorkerSettings

    def start(self) -> None:
        """Make ready."""
        ...

    def submit(self, task: Task) -> None:
        """Queue a task."""
        ...

    def wait(self, timeout: float | None = None) -> list[Answer]:
        """Answers that are there, after waiting for one; none where the time is up or nothing is queued."""
        ...

    def close(self) -> None:
        """End all that runs, with its children. What was queued is forgotten."""
        ...

    def describe(self) -> str:
        """In a few words."""
        ...

    @property
    def places(self) -> int:
        """How many tasks they can be at."""
        ...


def resolve(path: str) -> Callable[[CandidateJob], CandidateResult]:
    """The function of "package.module:function"."""
    module, _, name = path.partition(":")
    function: Callable[[CandidateJob], CandidateResult] = getattr(import_module(module), name)
    return function


def failed(job: CandidateJob, reason: str, timings: dict[str, float] | None = None) -> CandidateResult:
    """A failed candidate, its reason one line."""
    line = " ".join(reason.split())
    return CandidateResult(job.number, "failed", line[:300] or "no reason given", timings=timings or {})


def evaluate_contained(function: Callable[[CandidateJob], CandidateResult], task: Task, worker: str) -> Answer:
    """Call the evaluation; whatever it raises becomes a failed candidate, or trouble where the machine is at fault."""
    started = time.time()
    trouble = ""
    try:
        result = checked(function(task.job), task.job)
    except MemoryError:
        result = failed(task.job, "out of memory")
    except Exception as error:  # any bug of a candidate's: the search goes on
        result = failed(task.job, f"{type(error).__name__}: {error}")
        # Data or settings that cannot be are no candidate's fault either.
        trouble = str(error) if isinstance(error, DataError | EvaluationError) else machine_trouble(error)
    return Answer(task.key, result, started, time.time(), worker, trouble)


def checked(result: Any, job: CandidateJob) -> CandidateResult:
    """A result as the study takes it: complete ones have finite values."""
    if not isinstance(result, CandidateResult):
        return failed(job, f"the evaluation gave {type(result).__name__}, not a CandidateResult")
    if result.state == "complete" and not (result.values and all(math.isfinite(value) for value in result.values)):
        return replace(failed(job, f"a score is not finite: {result.values}"), timings=result.timings)
    return replace(result, number=job.number, values=tuple(float(value) for value in result.values))


def machine_trouble(error: BaseException) -> str:
    """What an exception says about the machine: every other candidate would fail the same way. Empty for others."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
        if "os error 28" in str(error):  # safetensors, which is Rust
            return "No space left on device"
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return ""


def is_spoilt(reason: str) -> bool:
    """Whether a process that gave this reason should not go on: its memory or its device is in doubt."""
    return any(word in reason for word in ("out of memory", "CUDA", "HIP error", "AcceleratorError"))


def set_threads(count: int) -> None:
    """Computation in this many threads, from here on, where the evaluation computes with torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
