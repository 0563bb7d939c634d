"""The order of work of the GPU benchmark: compile ahead in groups, measure the most important first, stop in time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from gpu_ahead import Unit, compile_ahead, model_units, program_units, run_unit, seconds_ahead
from gpu_cases import DIRECTIONS, Cell
from gpu_measure import Clock, DeviceLost, Machine, in_words, measure
from gpu_models import BASE, LENGTHS, ModelScope, model_cells, smoke_models
from gpu_report import Report, gpu_environment, markdown, write
from gpu_work import SMOKE, WIDTHS, Scope, all_subjects, convolution_case, program_case

HEAD_DIMS = (64, 128)
FIRST_LENGTHS = (2048, 8192)
OTHER_LENGTHS = (4096, 16384, 1024, 512)
RESERVE_S = 15.0  # for what has begun when time is up, and for writing
AHEAD_SHARE = 0.4  # of the time left, that compiling ahead may take
WORTH_AHEAD_S = 90.0  # with less time left, what is not compiled is compiled when it is measured


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Fields:
        minutes: for everything.
        output: where the results go.
        sections: of "programs", "models" and "convolutions".
        names: of programs; empty for all.
        jobs: processes that compile ahead; 0 for none.
        limit_gib: N x N maps that are larger are not tried.
        commit: for a copy of the files without their history.
        smoke: tiny, on the processor.
    """

    minutes: float
    output: Path
    sections: tuple[str, ...]
    names: tuple[str, ...]
    jobs: int
    limit_gib: float
    commit: str | None
    smoke: bool


@dataclass(frozen=True)
class Job:
    """A case: its section, a program's name, N, and D or a convolution's width."""

    section: str
    subject: str
    length: int
    width: int

    def __str__(self) -> str:
        if self.section == "programs":
            return f"{self.subject}, N {self.length}, D {self.width}"
        return f"training step, N {self.length}" if self.section == "models" else f"convolution, width {self.width}"


@dataclass(frozen=True)
class Group:
    """Cases that are compiled ahead together, then measured one after the other."""

    jobs: tuple[Job, ...]
    units: Callable[[], Sequence[Unit]]


def groups(options: Options, scope: Scope, models: ModelScope) -> Iterator[Group]:
    """The most important first: N 2048 and 8192 at D 64, whole models, convolutions, D 128, the other N."""
    names = options.names or tuple(all_subjects())
    lengths, head_dims, widths = LENGTHS, HEAD_DIMS, WIDTHS
    first, others = FIRST_LENGTHS, OTHER_LENGTHS
    if options.smoke:
        lengths, head_dims, widths, first, others = (16,), (16,), (3, 65), (64,), ()

    def programs(some: Sequence[int], width: int) -> tuple[Job, ...]:
        if "programs" not in options.sections:
            return ()
        return tuple(Job("programs", name, length, width) for length in some for name in names)

    def ahead(some: Sequence[int], width: int, with_models: bool = False) -> Callable[[], Sequence[Unit]]:
        def units() -> Sequence[Unit]:
            found: list[Unit] = []
            if with_models and "models" in options.sections:
                found += model_units(models, lengths)
            if "programs" in options.sections:
                found += program_units(names, some, width, scope, options.limit_gib, with_kernels=some == first)
            return found

        return units

    rest = [Job("models", "", length, 0) for length in lengths if "models" in options.sections]
    rest += [Job("convolutions", "", scope.length, width) for width in widths if "convolutions" in options.sections]
    narrow, *wider = head_dims
    yield Group((*programs(first, narrow), *rest), ahead(first, narrow, with_models=True))
    for width in wider:
        yield Group(programs(first, width), ahead(first, width))
    for width in head_dims:
        for length in others:
            yield Group(programs((length,), width), ahead((length,), width))


def measure_job(
    job: Job, options: Options, scope: Scope, models: ModelScope, machine: Machine, clock: Clock
) -> Iterator[Cell]:
    """All cells of a case, in the order in which they are there."""
    if scope.compiles:
        torch.compiler.reset()  # else a function is compiled for a few sizes only, and then runs as it is, silently
    if job.section == "models":
        yield from model_cells(models, job.length, machine, clock)
        return
    if job.section == "programs":
        case = program_case(job.subject, scope, job.length, job.width)
    else:
        case = convolution_case(scope, job.width)
    for direction in DIRECTIONS:
        yield from measure(case, direction, machine, clock, options.limit_gib)
        machine.release()


def run(options: Options, flags: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Measure, write after every case, and say how it went.

    `flags` are for processes that compile ahead. Returns 1 where a smoke run's values disagree or something fails.
    """
    start = time.monotonic()
    clock = Clock(start + 60 * options.minutes - (0 if options.smoke else RESERVE_S))
    scope, models = _scopes(options.smoke)
    machine = Machine(scope.device, rounds=1 if options.smoke else 3)
    settings: dict[str, Any] = {
        "minutes": options.minutes,
        "smoke": options.smoke,
        **{name: str(value) for name, value in vars(scope).items()},
        "rounds": machine.rounds,
        "largest_maps_gib": options.limit_gib,
    }
    report = Report(gpu_environment(scope.device, options.commit), settings)
    ahead: dict[str, dict[str, float]] = {}
    for group in groups(options, scope, models):
        jobs = [job for job in group.jobs if clock.left > 0]
        report.left_out += [str(job) for job in group.jobs[len(jobs) :]]
        if not jobs:
            continue
        if options.jobs and scope.compiles and clock.left > WORTH_AHEAD_S:
            began = time.monotonic()
            until = Clock(began + AHEAD_SHARE * clock.left)
            units = group.units()
            say(f"compiling ahead: {len(units)} units, {options.jobs} at once")
            for name, seconds in compile_ahead(units, options.jobs, until, flags).items():
                ahead.setdefault(name, {}).update(seconds)
            key = "compiling ahead"
            report.seconds[key] = report.seconds.get(key, 0.0) + time.monotonic() - began
        lost = _measure_group(jobs, options, report, machine, clock, ahead, say)
        if lost:
            break
    report.seconds["all"] = time.monotonic() - start
    paths = write(report, options.output, scope)
    say(markdown(report, scope))
    say(f"written: {paths[0]} and {paths[1].name}, after {report.seconds['all']:.0f} s")
    return 1 if options.smoke and _faulty(report) else 0


def _measure_group(
    jobs: Sequence[Job],
    options: Options,
    report: Report,
    machine: Machine,
    clock: Clock,
    ahead: dict[str, dict[str, float]],
    say: Callable[[str], None],
) -> bool:
    """Measure cases while there is time; whether the GPU was lost."""
    scope, models = _scopes(options.smoke)
    for job in jobs:
        if clock.left <= 0:
            report.left_out.append(str(job))
            continue
        began = time.monotonic()
        try:
            for cell in measure_job(job, options, scope, models, machine, clock):
                key = f"{job.subject}/{cell.implementation}/{job.width}"
                seconds = seconds_ahead(ahead, key, cell.direction, cell.length)
                if cell.status == "left out":
                    report.left_out.append(f"{job}: {cell.implementation}, {cell.direction}")
                else:
                    report.cells.append(replace(cell, ahead_s=seconds))
        except DeviceLost as error:
            report.notes.append(f"{job}: the GPU was lost, nothing after it was measured: {error}")
            return True
        except Exception as error:
            report.notes.append(f"{job}: {in_words(error)}")
        machine.release()
        say(f"{job}: {time.monotonic() - began:.1f} s")
        write(report, options.output, scope)
    return False


def _faulty(report: Report) -> bool:
    bad = ("failed", "disagrees", "out of memory")
    return bool(report.notes) or any(cell.status in bad for cell in report.cells)


def _scopes(smoke: bool) -> tuple[Scope, ModelScope]:
    return (SMOKE, smoke_models(SMOKE)) if smoke else (Scope(), BASE)


def run_one_unit(text: str, smoke: bool, limit_gib: float) -> None:
    """A process that compiles ahead: its unit as JSON in, seconds as JSON out."""
    fields = json.loads(text)
    unit = Unit(**{**fields, "lengths": tuple(fields["lengths"])})
    scope, models = _scopes(smoke)
    print(json.dumps(run_unit(unit, scope, models, limit_gib)))
