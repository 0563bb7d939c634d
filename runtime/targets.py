"""`autobertc compile --target`: every kernel of a program compiled for a GPU that is not there.

Of each kernel the candidates of tile sizes are compiled in their order until one leaves no register on the stack; where
none does, the one with the least stack is reported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from autobertc.compiler.fusion.fused_text import FusedText, fuse
from autobertc.compiler.module_text import kernels_text
from autobertc.dsl.architecture import Architecture, ConvolutionLayer
from autobertc.runtime.ahead_of_time import TARGETS, KernelSpec, Resources, compile_kernels
from autobertc.runtime.execution import execute

DTYPES = {"bfloat16": "*bf16", "float16": "*fp16", "float32": "*fp32"}
ITEM_SIZES = {"bfloat16": 2, "float16": 2, "float32": 4}


@contextmanager
def kernel_folder(programs: Sequence[FusedText], name: str) -> Iterator[Path]:
    """A folder with the kernels of some programs and what they import, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="autobertc-") as place:
        folder = Path(place) / "kernels"
        folder.mkdir()
        for source in files("autobertc.compiler.modeling").iterdir():
            if source.name.endswith(".py"):
                (folder / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "kernels_autobertc.py").write_text(kernels_text(programs, name), encoding="utf-8")
        yield folder
        shutil.rmtree(folder)


def specifications(
    programs: Sequence[FusedText], folder: Path, dtype: str, head_dim: int, shared: int
) -> dict[str, list[KernelSpec]]:
    """Each kernel's candidates, best guess first, for padded batches of `[batch, heads, N, head_dim]` tensors."""
    from autobertc.compiler.modeling import fused as runtime
    from autobertc.compiler.modeling.launching import candidates

    module = execute("kernels_to_compile", (folder / "kernels_autobertc.py").read_text(encoding="utf-8"))
    block_d = runtime.block_d(head_dim)
    found: dict[str, list[KernelSpec]] = {}
    for program in programs:
        fused = getattr(module, program.name)
        for direction in (fused.forward, fused.backward):
            for stage in direction.stages:
                if isinstance(stage, runtime.LibraryCall):
                    continue
                signature = _signature(stage, direction.results, fused, dtype)
                constants = {
                    "D": head_dim,
                    "BLOCK_D": block_d,
                    "ROOT": head_dim**-0.5,
                    "DTYPE": dtype,
                    "PRECISION": "ieee" if dtype == "float32" else "tf32",
                    "FULL": False,
                } | ({"DROPOUT": False, "seed": None} if "draws" in stage.flags else {})
                found[stage.kernel_name] = [
                    KernelSpec(
                        name=stage.kernel_name,
                        source=folder / "kernels_autobertc.py",
                        function=stage.kernel_name,
                        signature=signature,
                        constexprs=constants | one.blocks(stage),
                        num_warps=one.warps,
                        num_stages=one.stages,
                        divisible=tuple(
                            name
                            for name in signature
                            if signature[name].startswith("*") or name[-2:] in ("_b", "_h", "_n")
                        ),
                    )
                    for one in candidates(stage, block_d, ITEM_SIZES[dtype], shared)
                ]
    return found


def _is_divisible(argument: str) -> bool:
    """Whether an argument is a multiple of 16 in practice: buffers, and strides of heads of 16 features or more."""
    return argument not in ("H", "N", "size", "dropout_p")


def _signature(stage: Any, results: Sequence[str], fused: Any, dtype: str) -> dict[str, str]:
    """Types of a launch's arguments, in no order that matters."""
    signature = {}
    for name in (*stage.reads, *stage.writes):
        external = name in results or name in (*fused.inputs, "gradient", "result")
        narrow = external or (fused.buffers.get(name) == "rows" and dtype != "float16")
        signature[name] = DTYPES[dtype] if narrow and not _in_pieces(stage, name) else "*fp32"
    for name in stage.strided:
        signature |= {f"{name}_{axis}": "i32" for axis in "bhn"}
    signature |= {"mask": "*u8", "H": "i32", "N": "i32"}
    if "draws" in stage.flags:
        signature["dropout_p"] = "fp32"
    if stage.kind == "state":
        signature["size"] = "i32"
    return signature


def _in_pieces(stage: Any, name: str) -> bool:
    return stage.kind == "state" and name in stage.writes


def best_resources(
    kernels: Mapping[str, Sequence[KernelSpec]], targets: Sequence[str], processes: int = 2
) -> list[Resources]:
    """What each kernel takes of each target, with the first candidate that needs no stack, or else the least.

    Raises `UserError` for an unknown target or without Triton.
    """
    best: dict[tuple[str, str], Resources] = {}
    for target in targets:
        waiting = dict(kernels)
        for attempt in range(max((len(specs) for specs in kernels.values()), default=0)):
            batch = [specs[attempt] for specs in waiting.values() if attempt < len(specs)]
            for found in compile_kernels(batch, [target], processes) if batch else []:
                key = (found.kernel, target)
                best[key] = min(best.get(key, found), found, key=_cost)
                if _cost(best[key]) == (False, 0):
                    del waiting[found.kernel]
        if not kernels:
            compile_kernels([], [target])
    return [best[(name, target)] for name in kernels for target in targets]


def _cost(found: Resources) -> tuple[bool, int]:
    return found.error is not None, found.stack


def convolution_specifications(widths: Iterable[int], dtype: str, head_dim: int) -> dict[str, list[KernelSpec]]:
    """The convolution kernels of each width, with their default tile sizes."""
    from autobertc.compiler.modeling.triton_convolution import ahead_of_time

    kinds = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
    found = {}
    for width in widths:
        for entry in ahead_of_time(kinds[dtype], head_dim, width):
            name = f"{entry.name}_{width}"
            found[name] = [
                KernelSpec.of(
                    entry.function,
                    entry.signature,
                    name=name,
                    constexprs=entry.constexprs,
                    num_warps=entry.num_warps,
                    num_stages=entry.num_stages,
                    divisible=entry.divisible,
                )
            ]
    return found


def compile_architecture(
    architecture: Architecture, targets: Sequence[str], dtype: str = "bfloat16", processes: int = 2
) -> list[Resources]:
    """What the kernels of an architecture take of some targets, convolutions after attention.

    Raises `UserError` for an unknown target or without Triton, `MissingKernel` for a primitive without kernel.
    """
    head_dim = architecture.sizes.head_dim
    programs = [fuse(program, f"attention_{number}") for number, program in enumerate(architecture.programs(), start=1)]
    widths = sorted({layer.kernel for layer in architecture.layers if isinstance(layer, ConvolutionLayer)})
    with kernel_folder(programs, architecture.name or "backbone") as folder:
        shared = min((TARGETS[target].shared for target in targets if target in TARGETS), default=160 * 1024)
        kernels = specifications(programs, folder, dtype, head_dim, shared)
        kernels |= convolution_specifications(widths, dtype, head_dim)
        return best_resources(kernels, targets, processes)
