"""Compiling ahead: most of a first run's time is compilation, which processes beside each other do into shared caches.

A unit of it is a process that calls one implementation at the sizes that are measured later. What it finds is not kept,
apart from the compilers' caches on disk: its times are those of a busy machine, so its tuning goes to a folder that
nothing reads. A unit that fails costs time only: whatever is not in a cache is compiled when it is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gpu_cases import DIRECTIONS, work_of
from gpu_measure import Clock, Machine
from gpu_models import BERT_COMPILED, OURS_COMPILED, ModelScope, kernel_names, make, run_kernels
from gpu_work import Scope, all_subjects, program_case, program_contestants

MEMORY_GIB = 60.0  # that units may use at once, by their estimates
OVERHEAD_GIB = 1.0  # of a process
KERNEL_LENGTH = 512  # what kernels are compiled at; the same serve other multiples of 128


@dataclass(frozen=True)
class Unit:
    """What one process compiles.

    Fields:
        section: "programs" or "models".
        subject: a program; or a program of the genome by its name in the module.
        implementation: whose.
        lengths, width: the sizes; `width` is of a head.
        gib: an estimate of its memory.
    """

    section: str
    subject: str
    implementation: str
    lengths: tuple[int, ...]
    width: int = 0
    gib: float = OVERHEAD_GIB


def program_units(
    names: Iterable[str], lengths: Sequence[int], width: int, scope: Scope, limit: float, with_kernels: bool = True
) -> list[Unit]:
    """What programs need at some sizes; the kernels, which take longest and serve all N, first."""
    kernels, others = [], []
    for name in names:
        subject = all_subjects()[name]
        if with_kernels:
            kernels.append(Unit("programs", name, "kernels", (KERNEL_LENGTH,), width))
        if subject.flex is not None:
            others.append(Unit("programs", name, "FlexAttention", tuple(lengths), width, 4 * OVERHEAD_GIB))
        for length in lengths:
            found = {one.name: one for one in program_contestants(subject, scope, length, width)}
            needs = [gib for gib in found["torch.compile"].gib.values() if gib <= limit]
            if needs:
                gib = OVERHEAD_GIB + max(needs)
                others.append(Unit("programs", name, "torch.compile", (length,), width, gib))
    return kernels + others


def model_units(models: ModelScope, lengths: Sequence[int]) -> list[Unit]:
    """What whole models need; the compiled ones take longest."""
    compiled = [
        Unit("models", "", name, (length,), gib=16.0) for length in lengths for name in (BERT_COMPILED, OURS_COMPILED)
    ]
    return compiled + [Unit("models", name, "kernels", (min(lengths),)) for name in kernel_names(models)]


def run_unit(unit: Unit, scope: Scope, models: ModelScope, limit: float) -> dict[str, float]:
    """Compile, in this process: seconds of first calls, by direction and length."""
    machine, seconds = Machine(scope.device), {}
    for length in unit.lengths:
        if unit.section == "models" and unit.subject:
            seconds[f"training step {length}"] = machine.seconds(
                lambda length=length: run_kernels(models, unit.subject, length)  # type: ignore[misc]
            )[0]
        elif unit.section == "models":
            _, work = make(unit.implementation, models, length)
            seconds[f"training step {length}"] = machine.seconds(work)[0]
        else:
            case = program_case(unit.subject, scope, length, unit.width)
            contestant = next(one for one in case.contestants if one.name == unit.implementation)
            for direction in DIRECTIONS:
                if contestant.function is None or contestant.gib.get(direction, 0.0) > limit:
                    continue
                work = work_of(contestant.function, case.tensors, case.gradient, direction)
                seconds[f"{direction} {length}"] = machine.seconds(work)[0]
        machine.release()
    return seconds


@dataclass
class _Process:
    unit: Unit
    process: subprocess.Popen[bytes]
    output: Path


def compile_ahead(
    units: Sequence[Unit], jobs: int, clock: Clock, options: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Run units in processes until all are done or time is up; seconds by "subject/implementation/width".

    Args:
        units: the most important first.
        jobs: processes at once.
        clock: when to end those that still run.
        options: of the command line, for the processes.
    """
    waiting, running = list(units), list[_Process]()
    seconds: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "AUTOBERTC_CACHE": str(Path(folder) / "tuning"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        try:
            while (waiting or running) and clock.left > 0:
                for unit in list(_starting(waiting, running, jobs)):
                    output = Path(folder) / f"{len(units) - len(waiting)}.json"
                    waiting.remove(unit)
                    command = [sys.executable, str(Path(__file__).with_name("gpu.py")), *options]
                    command += ["--unit", json.dumps(asdict(unit))]
                    with output.open("wb") as file:
                        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, env=environment)
                    running.append(_Process(unit, process, output))
                time.sleep(0.1)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    key = f"{one.unit.subject}/{one.unit.implementation}/{one.unit.width}"
                    seconds.setdefault(key, {}).update(_read(one.output))
        finally:
            for one in running:
                one.process.kill()
                one.process.wait()
    return seconds


def _starting(waiting: Sequence[Unit], running: Sequence[_Process], jobs: int) -> Iterator[Unit]:
    """Units that have room beside those that run; a large one is overtaken by small ones, but never alone too large."""
    count, used = len(running), sum(one.unit.gib for one in running)
    for unit in waiting:
        if count < jobs and (not count or used + unit.gib <= MEMORY_GIB):
            count, used = count + 1, used + unit.gib
            yield unit


def seconds_ahead(ahead: dict[str, dict[str, float]], key: str, direction: str, length: int) -> float | None:
    """A first call's seconds in the process that compiled it, for what is measured under a key."""
    found = ahead.get(key, {})
    serves_all = found.get(f"{direction} {KERNEL_LENGTH}") if "/kernels/" in key else None
    return found.get(f"{direction} {length}", serves_all)


def _read(path: Path) -> dict[str, float]:
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        found: dict[str, float] = json.loads(lines[-1])
    except (ValueError, IndexError):
        return {}
    return found
