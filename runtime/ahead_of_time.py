"""Compiling Triton kernels for a GPU that is not there, and what each would take of it.

    spec = KernelSpec.of(kernel, signature={"x": "*bf16", "n": "i32"}, constexprs={"TILE": 64})
    print_table(compile_kernels([spec], ["sm_90", "gfx942"]))

Kernels are compiled in processes of their own: under `TRITON_INTERPRET=1`, which tests set, `triton.jit` makes
functions that cannot be compiled; and a compiler that aborts takes nothing else along. A process imports a kernel's
source file anew, so that only names travel. Compiled kernels stay in Triton's cache (`TRITON_CACHE_DIR`).
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from autobertc.dsl.errors import UserError


@dataclass(frozen=True)
class Target:
    """A GPU as Triton names it. `shared` is the most shared memory (AMD: LDS) a block may have, in bytes."""

    backend: str
    arch: int | str
    warp_size: int
    shared: int


# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"; AMD CDNA 3 ISA, "Local Data Share".
TARGETS: Mapping[str, Target] = {
    "sm_80": Target("cuda", 80, 32, 163 * 1024),
    "sm_90": Target("cuda", 90, 32, 227 * 1024),
    "sm_100": Target("cuda", 100, 32, 227 * 1024),
    "gfx942": Target("hip", "gfx942", 64, 64 * 1024),
}
SECONDS_PER_KERNEL = 600


@dataclass(frozen=True)
class KernelSpec:
    """One configuration of one kernel.

    `name` is unique among the kernels compiled together: tables and golden files know the kernel by it. `function` is a
    `triton.jit` function of the file `source`, which may import its neighbours relatively. `signature` gives Triton
    types ("*bf16", "*fp32", "i32", "fp32") to the arguments of a launch, `constexprs` values to all others; a pointer
    that a launch passes as None belongs to the latter, with the value None. An argument of neither has its default.
    `divisible` are the arguments known to be multiples of 16 (pointers: bytes); None is every pointer, since torch
    aligns its tensors.
    """

    name: str
    source: Path
    function: str
    signature: Mapping[str, str]
    constexprs: Mapping[str, Any] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 2
    divisible: tuple[str, ...] | None = None

    @classmethod
    def of(cls, function: Any, signature: Mapping[str, str], name: str | None = None, **fields: Any) -> KernelSpec:
        """The spec of a `triton.jit` function at hand, interpreted or not; `name` is its own if not given.

        Raises `ValueError` where its source is in no file.
        """
        while hasattr(function, "fn"):
            function = function.fn
        source = Path(function.__code__.co_filename)
        if not source.is_file():
            raise ValueError(f"{function.__name__} was defined in {source}, which is no file")
        return cls(name or function.__name__, source, function.__name__, signature, **fields)


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel takes of a target.

    `registers` of 32 bits per thread (AMD: vector registers, with those of the matrix units), `stack` (AMD: scratch)
    and `shared` (AMD: LDS) in bytes, `stack` per thread. `spills` are registers per thread that found no place:
    on NVIDIA a quarter of the stack, of which Triton makes no other use; on AMD the compiler's count, also of those
    that went to matrix registers instead of memory. `matmul_instructions` counts instructions in the text, once
    however often a loop runs them. `error` says why a kernel is of no use; the numbers are 0 if it did not compile.
    """

    kernel: str
    target: str
    num_warps: int
    num_stages: int
    registers: int = 0
    stack: int = 0
    shared: int = 0
    spills: int = 0
    matmul_instructions: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return asdict(self)


def compile_kernel(spec: KernelSpec, target: str) -> Resources:
    """Compile one kernel; see `compile_kernels`."""
    return compile_kernels([spec], [target], processes=1)[0]


def compile_kernels(specs: Sequence[KernelSpec], targets: Sequence[str], processes: int = 2) -> list[Resources]:
    """Compile every kernel for every target of `TARGETS`, kernel by kernel; about a second each, less when cached.

    A kernel that fails has its `error`, and the others go on. Raises `UserError` for an unknown target or without
    Triton, `ValueError` for two kernels of one name.
    """
    check_targets(targets)
    if len({spec.name for spec in specs}) < len(specs):
        raise ValueError("two kernels have the same name")
    return _compile([((spec,), target) for spec in specs for target in targets], processes)


def compile_best(kernels: Sequence[Sequence[KernelSpec]], target: str, processes: int = 2) -> list[Resources]:
    """Of each kernel the first of its candidates that needs no stack, or else the one that needs the least.

    Later candidates are not compiled. A kernel has an error if all of them have, the first one's. Raises `UserError`
    for an unknown target or without Triton.
    """
    check_targets([target])
    return _compile([(tuple(specs), target) for specs in kernels], processes)


def check_targets(targets: Sequence[str]) -> None:
    """Raise `UserError` for an unknown target, or without Triton."""
    for target in targets:
        if target not in TARGETS:
            raise UserError(f"unknown target {target}: choose from {', '.join(TARGETS)}")
    triton_version()


def _compile(jobs: Sequence[tuple[tuple[KernelSpec, ...], str]], processes: int) -> list[Resources]:
    pending = deque((index, *job) for index, job in enumerate(jobs))
    done: dict[int, Resources] = {}
    with ThreadPoolExecutor(max_workers=max(1, processes)) as pool:
        workers = [pool.submit(_drain, pending, done) for _ in range(min(max(1, processes), len(jobs)))]
        try:
            for worker in workers:
                worker.result()
        except BaseException:
            pending.clear()
            raise
    return [done[index] for index in range(len(jobs))]


def triton_version() -> str:
    """The version of the installed Triton, without what follows a `+`. Raises `UserError` where there is none."""
    try:
        return str(import_module("triton").__version__).split("+")[0]
    except ImportError as error:
        raise UserError(f"compiling kernels needs Triton (pip install triton; on Linux only): {error}") from error


def failure(spec: KernelSpec, target: str, error: str) -> Resources:
    """What is told of a kernel that did not compile."""
    return Resources(spec.name, target, spec.num_warps, spec.num_stages, error=error)


def _start(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that serves, with this one's modules but none of the switches that change what a compiler makes."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("TRITON_", "MLIR_", "LLVM_", "DISABLE_", "PTXAS_", "NVPTX_", "AMDGCN_", "PYTHONWARNINGS")
        )
        or name in ("TRITON_CACHE_DIR", "TRITON_HOME")
    }
    # What Triton up to 3.9 does anyway; 3.9 warns where it is not said.
    environment["TRITON_DEFAULT_FP_FUSION"] = "1"
    environment["PYTHONPATH"] = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    command = [sys.executable, "-P", "-c", "from autobertc.runtime.kernel_compilation import serve; serve()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment)


def _drain(pending: deque[tuple[int, tuple[KernelSpec, ...], str]], done: dict[int, Resources]) -> None:
    """Compile in one process until nothing is pending; where a kernel kills it, the next go to a new one."""
    while pending:
        with tempfile.TemporaryFile("a+b") as log, _start(log) as process:
            while process.poll() is None:
                try:
                    index, (spec, *others), target = pending.popleft()
                except IndexError:
                    return
                answer = _ask(process, log, spec, target)
                done[index] = best = min(done.get(index, answer), answer, key=_cost)
                if others and _cost(best) > (False, 0):
                    pending.appendleft((index, tuple(others), target))


def _cost(found: Resources) -> tuple[bool, int]:
    return found.error is not None, found.stack


def _ask(process: subprocess.Popen[bytes], log: IO[bytes], spec: KernelSpec, target: str) -> Resources:
    """One kernel's resources from a process that serves; where it dies, it has been waited for."""
    assert process.stdin is not None and process.stdout is not None
    start = log.seek(0, os.SEEK_END)
    patience = threading.Timer(SECONDS_PER_KERNEL, process.kill)
    patience.start()
    try:
        request = pickle.dumps((spec, target))
        process.stdin.write(request)
        process.stdin.flush()
        answer: Resources = pickle.load(process.stdout)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        with suppress(BrokenPipeError):
            process.stdin.close()
        code = process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        answer = failure(spec, target, f"the compiler died: {how}")
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        answer = failure(spec, target, f"the arguments cannot be passed on: {error}")
    finally:
        patience.cancel()
    if not answer.error or answer.registers:
        return answer
    # The reasons of LLVM and MLIR go to standard error only.
    log.seek(start)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    reasons = [line[:300] for line in lines if re.search(r"(?i)error|assert", line)]
    return replace(answer, error="\n".join([answer.error, *reasons[-5:]]))
