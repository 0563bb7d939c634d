"""The kernels of a program and the table of its stages, as source text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from textwrap import wrap

from autobertc.compiler.fusion.joint import Joint, plan_program
from autobertc.compiler.fusion.kernel_text import KernelText, write_kernel
from autobertc.compiler.fusion.lowering import lower_stage
from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.shapes import is_statistic, unturned
from autobertc.compiler.rendering import folded
from autobertc.dsl.graph import Node, Program, print_roots
from autobertc.dsl.ops.base import MatMul
from autobertc.dsl.ops.calculus import MissingKernel, PairGradient, PairSum
from autobertc.dsl.ops.expressions import FUNCTIONS, substitute
from autobertc.dsl.types import Type

_KINDS = {
    Type("N", "D"): "rows",
    Type("D", "N"): "rows",
    Type("N", "1"): "tokens",
    Type("D", "1"): "features",
    Type("D", "D"): "square",
    Type("N", "N"): "map",
}
_TORCH = {name: f"torch.{name}" for name in FUNCTIONS} | {
    # torch's take no numbers.
    "maximum": "larger",
    "minimum": "smaller",
}
MAX_COMMENT = 1_500


@dataclass(frozen=True)
class FusedText:
    """A program's kernels as source.

    Attributes:
        name: the name of its `Fused`.
        source: the kernels, then the table.
        helpers: the functions of kernel_functions.py that the kernels call.
        library: the functions of fused.py that library calls go to.
        joint: the plans.
    """

    name: str
    source: str
    helpers: tuple[str, ...]
    library: tuple[str, ...]
    joint: Joint


def _comment(plan: Plan, stage: Stage) -> list[str]:
    """What a stage computes, in the words of the graph, other stages' values by name."""
    lets, texts = print_roots(stage.targets, dict(plan.names))
    lines = [f"let {name} = {text}" for name, text in lets]
    lines += [f"{plan.names[node]} = {text}" for node, text in zip(stage.targets, texts, strict=True)]
    wrapped = [part for line in lines for part in wrap(line, 110, subsequent_indent="    ", break_on_hyphens=False)]
    if sum(map(len, wrapped)) > MAX_COMMENT:
        return [f"{len(stage.targets)} values of a large program."]
    return wrapped


def _strings(values: Iterable[str]) -> str:
    items = [f'"{value}"' for value in values]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _flags(kernel: KernelText) -> list[str]:
    names = ("draws", "compares", "triples")
    return [name for name in names if getattr(kernel, name)]


def _stage_entry(plan: Plan, stage: Stage, kernel: KernelText) -> str:
    written = [node for node in kernel.buffers if node in stage.targets]
    fields = [
        kernel.name,
        f'"{stage.kind}"',
        f"reads={_strings(plan.names[node] for node in kernel.buffers if node not in stage.targets)}",
        f"writes={_strings(plan.names[node] for node in written)}",
    ]
    if kernel.strided:
        fields.append(f"strided={_strings(plan.names[node] for node in kernel.strided)}")
    if _flags(kernel):
        fields.append(f"flags={_strings(_flags(kernel))}")
    fields.append(f"sizes={kernel.sizes}")
    sums = [plan.names[node] for node in written if not is_statistic(node)]
    if stage.kind == "state" and sums:
        fields.append(f"sums={_strings(sums)}")
    fields.append(f'key="{blake2b(kernel.source.encode(), digest_size=8).hexdigest()}"')
    return f"Stage({', '.join(fields)})"


def _library_entry(plan: Plan, stage: Stage, used: set[str]) -> str:
    (node,) = stage.targets
    op = node.op
    reads = []
    for operand in node.operands:
        below, turned = unturned(operand)
        reads.append(f'("{plan.names[below]}", {turned})')
    if isinstance(op, MatMul):
        used.add("product_of_maps")
        function = "product_of_maps"
    else:
        assert isinstance(op, PairSum | PairGradient)
        name, expression = (
            ("compare_maps", op.of.term) if isinstance(op, PairSum) else ("compare_maps_gradient", op.of.term_slope)
        )
        if expression is None:
            raise MissingKernel(op.of, "term")
        used.add(name)
        used.update(name for name in ("larger", "smaller") if f"{name}(" in substitute(expression, _TORCH))
        function = f"partial({name}, lambda x, y: {substitute(expression, _TORCH)})"
    return f"LibraryCall({function}, reads=({', '.join(reads)},), writes={_strings([plan.names[node]])})"


def _entry_lines(entry: str) -> list[str]:
    lines = folded(entry, 13)
    return [*lines[:-1], f"{lines[-1]},"]


def _direction(plan: Plan, prefix: str, kernels: list[KernelText], library: set[str]) -> list[str]:
    entries = []
    for stage in plan.stages:
        if stage.kind == "library":
            entries.append(_library_entry(plan, stage, library))
            continue
        kernel = write_kernel(plan, stage, lower_stage(plan, stage), prefix, _comment(plan, stage))
        kernels.append(kernel)
        entries.append(_stage_entry(plan, stage, kernel))
    results = [plan.names[node] for node in plan.roots.values()]
    return [
        "Direction(",
        "    stages=(",
        *(f"        {line}" for entry in entries for line in _entry_lines(entry)),
        "    ),",
        f"    results={_strings(results)},",
        ")",
    ]


def _kind(node: Node) -> str:
    return _KINDS[node.type] + ("_twice" if is_statistic(node) else "")


def _kinds(joint: Joint) -> dict[str, str]:
    kinds = {}
    for plan in (joint.forward, joint.backward):
        nodes: list[Node] = [*plan.names]
        kinds.update({plan.names[node]: _kind(node) for node in nodes})
    return kinds


def fuse(program: Program, name: str) -> FusedText:
    """The kernels of a checked program, under a name. Raises `MissingKernel`."""
    joint = plan_program(program)
    kernels: list[KernelText] = []
    library: set[str] = set()
    forward = _direction(joint.forward, name, kernels, library)
    backward = _direction(joint.backward, name, kernels, library)
    stored = {joint.forward.names[node] for node in joint.forward.stored}
    stored |= {joint.backward.names[node] for node in joint.backward.stored}
    table = [
        f"{name.upper()} = Fused(",
        f'    name="{name}",',
        f"    inputs={_strings(joint.inputs)},",
        "    buffers={",
        *(f'        "{buffer}": "{kind}",' for buffer, kind in _kinds(joint).items() if buffer in stored),
        "    },",
        f"    forward={forward[0]}",
        *(f"    {line}" for line in forward[1:-1]),
        "    ),",
        f"    backward={backward[0]}",
        *(f"    {line}" for line in backward[1:-1]),
        "    ),",
        f"    kept={_strings(joint.kept) if joint.kept else '()'},",
        f"    sites={joint.sites},",
        "    module=__name__,",
        ")",
    ]
    source = "\n\n".join([kernel.source for kernel in kernels] + ["\n".join(table) + "\n"])
    helpers = tuple(sorted({helper for kernel in kernels for helper in kernel.helpers}))
    return FusedText(name.upper(), source, helpers, tuple(sorted(library)), joint)
