"""The process that compiles for `ahead_of_time`: it imports Triton, not interpreting, and a kernel's source file."""

from __future__ import annotations

import functools
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from autobertc.runtime.ahead_of_time import TARGETS, KernelSpec, Resources, Target, failure

TENSOR_MEMORY = 512  # columns that a block may have on sm_100: PTX ISA, "Tensor Memory"
_MATMULS = {
    "wgmma.mma_async": re.compile(r"\bwgmma\.mma_async\b"),
    "mma.sync": re.compile(r"(?<![\w.])mma\.sync\b"),
    "tcgen05.mma": re.compile(r"\btcgen05\.mma\b"),
    "v_mfma": re.compile(r"\bv_mfma_"),
}


def _compile(spec: KernelSpec, name: str) -> Resources:
    """Compile a kernel in this process."""
    target = TARGETS[name]
    try:
        source = _ast_source(spec, target)
        gpu = import_module("triton.backends.compiler").GPUTarget(target.backend, target.arch, target.warp_size)
        options = {"num_warps": spec.num_warps, "num_stages": spec.num_stages}
        compiled = import_module("triton").compile(source, target=gpu, options=options)
        registers, stack, spills = _nvidia(compiled, target) if target.backend == "cuda" else _amd(compiled)
    except Exception as error:
        return failure(spec, name, _explain(error))
    assembly = compiled.asm["ptx" if target.backend == "cuda" else "amdgcn"]
    counts = {instruction: len(pattern.findall(assembly)) for instruction, pattern in _MATMULS.items()}
    shared, tensor_memory = compiled.metadata.shared, getattr(compiled.metadata, "tmem_size", 0) or 0
    # Triton finds this out at the first launch only, from the device's own limits.
    excess = None
    if shared > target.shared:
        excess = f"needs {shared} bytes of shared memory, the device has {target.shared}"
    elif tensor_memory > TENSOR_MEMORY:
        excess = f"needs {tensor_memory} columns of tensor memory, the device has {TENSOR_MEMORY}"
    return Resources(
        spec.name,
        name,
        num_warps=compiled.metadata.num_warps,
        num_stages=spec.num_stages,
        registers=registers,
        stack=stack,
        shared=shared,
        spills=spills,
        matmul_instructions={instruction: count for instruction, count in counts.items() if count},
        error=excess,
    )


@functools.cache
def _module(source: Path) -> ModuleType:
    """Execute a file as a module of a package that its folder is, so that relative imports work."""
    package = ModuleType(f"_ahead_of_time_{len(sys.modules)}")
    package.__path__ = [str(source.parent)]
    sys.modules[package.__name__] = package
    spec = spec_from_file_location(f"{package.__name__}.{source.stem.replace('.', '_')}", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _ast_source(spec: KernelSpec, target: Target) -> Any:
    """What `triton.compile` takes. The arguments stand in the function's order, each typed or constant."""
    function = getattr(_module(spec.source), spec.function)
    while not isinstance(function, import_module("triton").JITFunction):
        function = function.fn  # below `autotune` and `heuristics`
    for name in (*spec.signature, *spec.constexprs):
        if name not in function.arg_names:
            raise TypeError(f"{spec.function} has no argument {name}")
    constants = dict(spec.constexprs)
    signature = {}
    attributes = {}
    for index, parameter in enumerate(function.params):
        name = parameter.name
        kind = "constexpr" if name in constants else spec.signature.get(name, "constexpr")
        signature[name] = kind
        if kind == "constexpr":
            if name not in constants and not parameter.has_default:
                raise TypeError(f"argument {name} of {spec.function} has neither a type nor a value")
            constants.setdefault(name, parameter.default)
            continue
        pointer = kind.startswith("*")
        hints = []
        if pointer if spec.divisible is None else name in spec.divisible:
            hints.append(["tt.divisibility", 16])
        if pointer and target.backend == "hip":
            # A launch adds this for tensors below 2 GiB, which a model's are; it makes other load instructions.
            hints.append(["tt.pointer_range", 32])
        if hints:
            attributes[(index,)] = hints
    return import_module("triton.compiler").ASTSource(function, signature, constants, attributes)


def _nvidia(compiled: Any, target: Target) -> tuple[int, int, int]:
    """Registers, stack and spills of a cubin as `cuobjdump` prints them, or else as the assembler does."""
    ptx = compiled.asm["ptx"]
    wheel = Path(import_module("triton").__path__[0], "backends", "nvidia", "bin")
    toolkit = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
    cuobjdump = shutil.which("cuobjdump", path=os.pathsep.join([str(wheel), str(toolkit), os.environ.get("PATH", "")]))
    ptxas = import_module("triton.backends.nvidia.compiler").get_ptxas(target.arch).path
    (gpu,) = re.findall(r"^\.target (\w+)", ptx, re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        cubin, text = Path(folder, "kernel.cubin"), Path(folder, "kernel.ptx")
        cubin.write_bytes(compiled.asm["cubin"])
        text.write_text(ptx, encoding="utf-8")
        commands = [[cuobjdump, "--dump-resource-usage", str(cubin)]] if cuobjdump else []
        commands.append([ptxas, "-v", f"--gpu-name={gpu}", str(text), "-o", os.devnull])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True)
            printed = done.stdout + done.stderr
            registers = re.search(r"\bREG:(\d+)|\bUsed (\d+) registers", printed)
            stack = re.search(r"\bSTACK:(\d+)|(\d+) bytes stack frame", printed)
            if registers and stack:
                size = int(stack[1] or stack[2])
                return int(registers[1] or registers[2]), size, size // 4
    raise RuntimeError(f"neither cuobjdump nor ptxas tells what the kernel takes: {printed.strip()}")


def _amd(compiled: Any) -> tuple[int, int, int]:
    """Registers, scratch and spills from the metadata at the end of the assembly."""
    fields = re.findall(r"^\s+\.(\w+):\s+(\d+)$", compiled.asm["amdgcn"], re.MULTILINE)
    found = {name: int(value) for name, value in fields}
    return found["vgpr_count"], found["private_segment_fixed_size"], found["vgpr_spill_count"]


def _explain(error: BaseException) -> str:
    """An exception and what caused it: Triton's own say where, their causes what."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__
    return "\n".join(texts)[:4000]


def serve() -> None:
    """Answer each (spec, target) of standard input with its resources, until it ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a kernel's module or the compiler prints must not come between the answers.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with suppress(EOFError):
        while True:
            spec, target = pickle.load(requests)
            pickle.dump(_compile(spec, target), answers)
            answers.flush()
