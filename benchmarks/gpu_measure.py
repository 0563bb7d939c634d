"""Measuring on a GPU: agreement before time, alternating rounds, what fails says so."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from gpu_cases import Case, Cell, Function, Work, Yardstick, work_of

ROUNDS = 3
WARM_UP_MS, REPEAT_MS = 5, 25  # of one round of one implementation
SLOW_MS = 250.0  # a call that takes longer is timed alone


class DeviceLost(RuntimeError):
    """The GPU answers no more: an earlier kernel broke its context."""


@dataclass(frozen=True)
class Clock:
    """When to stop, in seconds of `time.monotonic`."""

    end: float

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


class Machine:
    """What times calls and counts memory: the GPU, or for a smoke run the processor."""

    def __init__(self, device: str, rounds: int = ROUNDS) -> None:
        self.device, self.rounds = device, rounds
        self.on_gpu = device == "cuda"

    def wait(self) -> None:
        """Until everything asked of the device is done. Raises `DeviceLost`."""
        if self.on_gpu:
            try:
                torch.cuda.synchronize()
            except RuntimeError as error:
                raise DeviceLost(str(error).splitlines()[0]) from error

    def release(self) -> None:
        """Give memory back that nothing uses."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()

    def seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """How long one call takes, and what it returns."""
        self.wait()
        start = time.perf_counter()
        result = work()
        self.wait()
        return time.perf_counter() - start, result

    def peak_mib(self, work: Callable[[], Any]) -> float | None:
        """By how much allocated memory grows during a call, at most."""
        if not self.on_gpu:
            return None
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 2**20

    def milliseconds(self, work: Callable[[], Any], estimate: float) -> float:
        """The median time of calls within one round, the second-level cache emptied before each."""
        if not self.on_gpu or estimate > SLOW_MS:
            return 1e3 * self.seconds(work)[0]
        from triton.testing import do_bench

        return float(do_bench(work, warmup=WARM_UP_MS, rep=REPEAT_MS, return_mode="median"))


@dataclass
class _Runner:
    """A contestant that ran once and may be timed."""

    cell: Cell
    work: Callable[[], Any]
    estimate: float
    runs: list[float] = field(default_factory=list)


def in_words(error: BaseException) -> str:
    """An exception's first line, and its first cause's: a compiler's own is seldom enough."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    texts = [f"{type(one).__name__}: {(str(one).strip().splitlines() or [''])[0][:160]}" for one in (error, cause)]
    return "; ".join(dict.fromkeys(texts))


def failure(cell: Cell, error: Exception, machine: Machine) -> Cell:
    """The cell of an implementation that raised. Raises `DeviceLost` where nothing can run after it."""
    note = in_words(error)
    machine.wait()
    if isinstance(error, torch.OutOfMemoryError):
        return replace(cell, status="out of memory", note=note)
    return replace(cell, status="failed", note=note)


def attempt(cell: Cell, prepare: Callable[[], Callable[[], Any]], machine: Machine) -> tuple[_Runner | None, Cell, Any]:
    """Run a contestant three times: the first call, one for its memory, one to know how long it takes.

    Returns what can be timed, or None, the cell so far, and the first call's results.
    """
    try:
        work = prepare()
        first, found = machine.seconds(work)
        cell = replace(cell, first_call_s=first)
        if machine.on_gpu:
            cell = replace(cell, memory_mib=machine.peak_mib(work))
            estimate = 1e3 * machine.seconds(work)[0]
        else:
            estimate = 1e3 * first
        return _Runner(cell, work, estimate), cell, found
    except DeviceLost:
        raise
    except Exception as error:
        cell = failure(cell, error, machine)
    machine.release()  # not before the exception, whose frames hold tensors, is gone
    return None, cell, None


def take_turns(runners: Sequence[_Runner], machine: Machine, clock: Clock) -> list[Cell]:
    """Time contestants in rounds, every other one in reverse order; at least one round."""
    for number in range(machine.rounds):
        if number and clock.left <= 0:
            break
        for runner in runners[:: 1 if number % 2 == 0 else -1]:
            if runner.cell.status in ("measured", "disagrees") and (not number or runner.estimate < 10 * SLOW_MS):
                try:
                    runner.runs.append(machine.milliseconds(runner.work, runner.estimate))
                except Exception as error:
                    runner.cell = failure(runner.cell, error, machine)
    cells = []
    for runner in runners:
        usable = runner.runs and runner.cell.status in ("measured", "disagrees")
        times = {"ms": median(runner.runs), "runs": tuple(runner.runs)} if usable else {}
        cells.append(replace(runner.cell, **times))
    return cells


def measure(case: Case, direction: str, machine: Machine, clock: Clock, limit_gib: float) -> list[Cell]:
    """All contestants of a case in one direction."""
    cells, runners = [], []
    yardstick = Yardstick(case, direction)
    for contestant in case.contestants:
        cell = Cell(case.section, case.subject, contestant.name, direction, case.length, case.width)
        function, gib = contestant.function, contestant.gib.get(direction, 0.0)
        if function is None or direction not in contestant.directions:
            cells.append(replace(cell, status=contestant.status, note=contestant.missing))
            continue
        if gib > limit_gib:
            note = f"its N x N maps would take about {gib:.0f} GiB, more than {limit_gib:g}"
            cells.append(replace(cell, status="too large", note=note))
            continue
        if clock.left <= 0:
            cells.append(replace(cell, status="left out", note="no time left"))
            continue

        def prepare(function: Function = function) -> Work:
            return work_of(function, case.tensors, case.gradient, direction)

        runner, cell, found = attempt(cell, prepare, machine)
        if runner is None:
            cells.append(cell)
            continue
        error, allowed = yardstick.verdict(found)
        del found
        agrees = error <= allowed
        status = "measured" if agrees else "disagrees"
        note = "" if agrees else f"relative error {error:.1e} where {allowed:.1e} is allowed"
        runner.cell = replace(cell, status=status, note=note, error=error, allowed=allowed)
        runners.append(runner)
    timed = take_turns(runners, machine, clock)
    cells += [_with_rate(cell, case.flops[direction]) for cell in timed]
    order = [contestant.name for contestant in case.contestants]
    return sorted(cells, key=lambda cell: order.index(cell.implementation))


def _with_rate(cell: Cell, flops: float) -> Cell:
    return cell if not cell.ms else replace(cell, tflops=flops / cell.ms / 1e9)
