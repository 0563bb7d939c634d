"""`autobertc compile --target`: every kernel of a program compiled for a GPU that is not there.

Of each kernel the candidates of tile sizes are compiled in their order until one needs no stack; where none does, the
one with the least is reported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from autobertc.compiler.fusion.fused_text import FusedText, fuse
from autobertc.compiler.module_text import kernels_text
from autobertc.dsl.architecture import Architecture, ConvolutionLayer
from autobertc.runtime.ahead_of_time import TARGETS, KernelSpec, Resources, check_targets, compile_best
from autobertc.runtime.execution import execute

DTYPES = {"bfloat16": "*bf16", "float16": "*fp16", "float32": "*fp32"}
ITEM_SIZES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True)
class LaunchedStage:
    """A stage of a program's kernels.

    `fused` is the program, `results` those of its direction, `absent` the buffers that a launch without a backward
    pass passes as None; `source` is the file.
    """

    stage: Any
    fused: Any
    results: tuple[str, ...]
    absent: tuple[str, ...]
    source: Path


@contextmanager
def launched_stages(programs: Sequence[FusedText], name: str) -> Iterator[list[LaunchedStage]]:
    """The stages of some programs that are kernels, in a folder that is there for as long as the block runs."""
    from autobertc.compiler.modeling.fused import LibraryCall

    with tempfile.TemporaryDirectory(prefix="autobertc-") as place:
        folder = Path(place) / "kernels"
        folder.mkdir()
        for file in files("autobertc.compiler.modeling").iterdir():
            if file.name.endswith(".py"):
                (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        source, text = folder / "kernels_autobertc.py", kernels_text(programs, name)
        source.write_text(text, encoding="utf-8")
        module = execute("kernels_to_compile", text)
        found = []
        for program in programs:
            fused = getattr(module, program.name)
            for direction in (fused.forward, fused.backward):
                here = set(direction.results)
                for stage in direction.stages:
                    here |= {name if isinstance(name, str) else name[0] for name in stage.reads}
                for stage in direction.stages:
                    if isinstance(stage, LibraryCall):
                        continue
                    absent = tuple(name for name in stage.writes if name in fused.kept and name not in here)
                    found.append(LaunchedStage(stage, fused, direction.results, absent, source))
        yield found


def specifications(
    stages: Sequence[LaunchedStage], target: str, dtype: str, head_dim: int
) -> dict[str, list[KernelSpec]]:
    """Each kernel's candidates, best guess first, for padded batches of `[batch, heads, N, head_dim]` tensors."""
    from autobertc.compiler.modeling.fused import block_d
    from autobertc.compiler.modeling.launching import candidates

    found = {}
    for one in stages:
        stage = one.stage
        signature = _signature(one, dtype)
        constants = {
            "D": head_dim,
            "BLOCK_D": block_d(head_dim),
            "ROOT": head_dim**-0.5,
            "DTYPE": dtype,
            "PRECISION": "ieee" if dtype == "float32" else "tf32",
            "FULL": False,
        } | ({"DROPOUT": False, "seed": None} if "draws" in stage.flags else {})
        divisible = tuple(name for name in signature if _is_divisible(name, signature[name], head_dim))
        found[stage.kernel_name] = [
            KernelSpec(
                name=stage.kernel_name,
                source=one.source,
                function=stage.kernel_name,
                signature=signature,
                constexprs=constants | configuration.blocks(stage),
                num_warps=configuration.warps,
                num_stages=configuration.stages,
                divisible=divisible,
            )
            for configuration in candidates(stage, block_d(head_dim), ITEM_SIZES[dtype], TARGETS[target].shared)
        ]
    return found


def _is_divisible(name: str, kind: str, head_dim: int) -> bool:
    """Whether an argument is a multiple of 16 for certain: pointers, and strides of such heads."""
    return kind.startswith("*") or (name[-2:] in ("_b", "_h", "_n") and head_dim % 16 == 0)


def _signature(one: LaunchedStage, dtype: str) -> dict[str, str]:
    """Types of a launch's arguments, in no order that matters."""
    stage, fused = one.stage, one.fused
    signature = {}
    for name in (*stage.reads, *stage.writes):
        external = name in one.results or name in (*fused.inputs, "gradient", "result")
        narrow = external or (fused.buffers.get(name) == "rows" and dtype != "float16")
        in_pieces = stage.kind == "state" and name in stage.writes
        signature[name] = DTYPES[dtype] if narrow and not in_pieces else "*fp32"
    for name in stage.strided:
        signature |= {f"{name}_{axis}": "i32" for axis in "bhn"}
    signature |= {"mask": "*u8", "H": "i32", "N": "i32"}
    if "draws" in stage.flags:
        signature["dropout_p"] = "fp32"
    if stage.kind == "state":
        signature["size"] = "i32"
    return signature


def launch_variants(spec: KernelSpec, absent: Sequence[str] = ()) -> list[KernelSpec]:
    """The other kinds of launch of a kernel, which Triton compiles anew.

    One token of one head: a launch makes constants of arguments that are 1. Whole tiles without a mask. Dropout.
    Without the values for a backward pass, which are `absent` then.
    """
    variants = {
        "one_token": _with_constants(spec, {name: 1 for name in ("N", "H") if name in spec.signature}),
        "whole": _with_constants(spec, {"mask": None, "FULL": "size" not in spec.signature}),
    }
    if "DROPOUT" in spec.constexprs:
        drawing = _with_constants(spec, {"DROPOUT": True})
        constants = {name: value for name, value in drawing.constexprs.items() if name != "seed"}
        variants["dropout"] = replace(drawing, signature={**spec.signature, "seed": "*i64"}, constexprs=constants)
    if absent:
        variants["inference"] = _with_constants(spec, dict.fromkeys(absent))
    return [replace(variant, name=f"{spec.name}_{name}") for name, variant in variants.items()]


def _with_constants(spec: KernelSpec, values: Mapping[str, Any]) -> KernelSpec:
    signature = {name: kind for name, kind in spec.signature.items() if name not in values}
    return replace(spec, signature=signature, constexprs={**spec.constexprs, **values})


def convolution_specifications(widths: Iterable[int], dtype: str, head_dim: int) -> dict[str, list[KernelSpec]]:
    """The convolution kernels of each width, each with its candidates."""
    from autobertc.compiler.modeling.triton_convolution import DTYPES as CONVOLVED
    from autobertc.compiler.modeling.triton_convolution import KERNELS, ahead_of_time, candidates

    kind = DTYPES[dtype].removeprefix("*")
    found = {}
    for width in widths:
        for index, kernel in enumerate(KERNELS):
            entries = [
                ahead_of_time(kind, head_dim, width, {kernel: one})[index]
                for one in candidates(kernel, CONVOLVED[kind], width)
            ]
            name = f"{kernel}_{width}"
            found[name] = [
                KernelSpec.of(
                    entry.function,
                    entry.signature,
                    name=name,
                    constexprs=entry.constants,
                    num_warps=entry.num_warps,
                    num_stages=entry.num_stages,
                    divisible=entry.divisible,
                )
                for entry in entries
            ]
    return found


def joining_specifications(stages: Sequence[LaunchedStage]) -> dict[str, list[KernelSpec]]:
    """The kernels that join the partial results of state stages, if there are any."""
    from autobertc.compiler.modeling import kernel_functions
    from autobertc.compiler.modeling.fused import JOINED

    summed = {name in one.stage.sums for one in stages if one.stage.kind == "state" for name in one.stage.writes}
    signature = {"pieces": "*fp32", "result": "*fp32", "count": "i32", "stride": "i32", "size": "i32"}
    found = {}
    if True in summed:
        found["add_pieces"] = KernelSpec.of(kernel_functions.add_pieces, signature, constexprs={"BLOCK": JOINED})
    if False in summed:
        found["join_statistics"] = KernelSpec.of(
            kernel_functions.join_statistics, {**signature, "width": "i32"}, constexprs={"BLOCK": JOINED}
        )
    return {name: [spec] for name, spec in found.items()}


def compile_architecture(
    architecture: Architecture, targets: Sequence[str], dtype: str = "bfloat16", processes: int = 2
) -> list[Resources]:
    """What the kernels of an architecture take of some targets, kernel by kernel, convolutions after attention.

    Raises `UserError` for an unknown target or without Triton, `MissingKernel` for a primitive without kernel.
    """
    check_targets(targets)
    head_dim = architecture.sizes.head_dim
    programs = [fuse(program, f"attention_{number}") for number, program in enumerate(architecture.programs(), start=1)]
    widths = sorted({layer.kernel for layer in architecture.layers if isinstance(layer, ConvolutionLayer)})
    by_target = []
    with launched_stages(programs, architecture.name or "backbone") as stages:
        shared = joining_specifications(stages) | convolution_specifications(widths, dtype, head_dim)
        for target in targets:
            kernels = specifications(stages, target, dtype, head_dim) | shared
            by_target.append(compile_best(list(kernels.values()), target, processes))
    return [one for kernel in zip(*by_target, strict=True) for one in kernel]
