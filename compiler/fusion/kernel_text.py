"""A stage as the source of a Triton kernel: one statement for each instruction, named after what it computes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.shapes import is_statistic
from autobertc.compiler.fusion.statements import BLOCKS, Statements, is_external
from autobertc.compiler.fusion.tiles import Accumulate, Compare, Dot, Draw, Load, OnlineSoftmax, Store, Tiled, Triple
from autobertc.compiler.rendering import folded, render
from autobertc.dsl.graph import Node

NO_BREAK = "\u00a0"


@dataclass(eq=False)
class KernelText:
    """The source of one kernel.

    Attributes:
        name: the kernel's name.
        source: its text.
        buffers: the values in memory that it takes, in the order of its arguments; those in `strided` with three
            strides each.
        helpers: what it calls of kernel_functions.py.
        draws, compares, triples: whether it takes a dropout seed, reads rows a few coordinates at a time, has tiles of
            three axes.
        sizes: how many tiles of rows it streams, of [tile, D] sums and of score tiles it holds.
    """

    name: str
    source: str
    buffers: tuple[Node, ...]
    strided: tuple[Node, ...]
    helpers: tuple[str, ...]
    draws: bool
    compares: bool
    triples: bool
    sizes: tuple[int, int, int]


def _sizes(code: Tiled) -> tuple[int, int, int]:
    loop = code.sections[1]
    reads = sum(isinstance(it, Load) and len(it.out.axes) == 2 for it in loop)
    totals = [it.total for it in loop if isinstance(it, Accumulate)]
    totals += [part.total for it in loop if isinstance(it, OnlineSoftmax) for part in it.sums]
    maps = sum(isinstance(it, Dot | Compare) and set(it.out.axes) == {"i", "j"} for it in code.instructions)
    return reads, sum(len(total.axes) == 2 for total in totals), maps


def _folded(line: str, depth: int) -> list[str]:
    inner = line.lstrip()
    blank = line[: len(line) - len(inner)]
    return [blank + part for part in folded(inner, depth + len(blank))]


def write_kernel(plan: Plan, stage: Stage, code: Tiled, prefix: str, comment: Sequence[str]) -> KernelText:
    """The kernel of a stage; `comment` is its docstring, a line each."""
    writer = Statements(plan, stage, code)
    writer.defer()
    prologue, loop, epilogue = (
        [line for it in part for written in writer.write(it) for line in _folded(written, depth)]
        for part, depth in zip(code.sections, (4, 8, 4), strict=True)
    )
    used = [it.node for it in code.instructions if isinstance(it, Load)]
    used += [node for it in code.instructions if isinstance(it, Compare) for node in (it.x, it.y)]
    written = [it.node for it in code.instructions if isinstance(it, Store)]
    buffers = tuple(dict.fromkeys([*used, *written]))
    strided = tuple(node for node in buffers if is_external(plan, node))
    draws = any(isinstance(it, Draw) for it in code.instructions)
    compares = any(isinstance(it, Compare) for it in code.instructions)
    triples = any(isinstance(it, Triple) for it in code.instructions)
    sizes = _sizes(code)
    name = f"{prefix}_{stage.name}"

    names = [plan.names[node] for node in buffers]
    constants = ["D", "BLOCK_D", "ROOT", "DTYPE", "PRECISION", "FULL"]
    constants += ["DROPOUT"] if draws else []
    constants += [BLOCKS[axis] for axis in "ij" if axis in code.axes] + (["CHUNK"] if compares else [])
    state = stage.kind == "state"
    arguments = [
        *names,
        *(f"{plan.names[node]}_{axis}" for node in strided for axis in "bhn"),
        "mask",
        *(["seed", "dropout_p"] if draws else []),
        *(["H", "N", "size"] if state else ["H", "N"]),
        *(f"{constant}:{NO_BREAK}tl.constexpr" for constant in constants),
    ]
    if loop:
        writer.helpers.add("inside")
    uses_features = any(re.search(r"\bd\b|\breal_d\b", line) for line in [*prologue, *loop, *epilogue])
    places = places_text(writer, buffers, written, uses_features)
    source = render(
        "kernel.py.jinja",
        name=name,
        arguments=[line.rstrip(",").replace(NO_BREAK, " ") for line in wrap(", ".join(arguments), 110)],
        comment=comment,
        places=places,
        uses_head=any(re.search(r"\bhead\b", line) for line in places),
        prologue=prologue,
        initial=writer.initial(),
        loop_lines=loop,
        tiles={"square": None, "state": "tl.cdiv(N, size)"}.get(stage.kind, "tl.cdiv(N, BLOCK_I)"),
        bounds="start, stop" if state else "0, N",
        stop="stop" if state else "N",
        final=writer.final(),
        epilogue=epilogue,
    )
    helpers = tuple(sorted(writer.helpers))
    return KernelText(name, source, buffers, strided, helpers, draws, compares, triples, sizes)


def places_text(writer: Statements, buffers: Iterable[Node], written: Iterable[Node], uses_features: bool) -> list[str]:
    """Which tile of which head a program works on, and where its values lie."""
    plan, stage, axes = writer.plan, writer.stage, writer.code.axes
    lines = []
    if uses_features:
        lines += ["d = tl.arange(0, BLOCK_D)", "real_d = d < D"]
    if "i" in axes:
        writer.helpers.add("inside")
        lines += [
            "i = tile * BLOCK_I + tl.arange(0, BLOCK_I)",
            "real_i = inside(i, N, mask, sequence, N)",
        ]
    if stage.kind == "map":
        writer.helpers.add("inside")
        lines += [
            "j = tl.program_id(1) * BLOCK_J + tl.arange(0, BLOCK_J)",
            "real_j = inside(j, N, mask, sequence, N)",
        ]
    if stage.kind == "state":
        lines += ["start = tile * size", "stop = tl.minimum(start + size, N)"]
        lines.append("pairs = (tl.num_programs(0) // tiles).to(tl.int64)")
    for node in buffers:
        name = plan.names[node]
        sizes = [{"N": "N", "D": "D"}[symbol] for symbol in node.type if symbol != "1"]
        own = " * ".join(["pair", *(["2"] if is_statistic(node) else []), *sizes])
        offset = f"sequence * {name}_b + head * {name}_h" if is_external(plan, node) else own
        if stage.kind == "state" and node in written:
            lines.append(f"{name}_piece = {name} + tile * {own.replace('pair', 'pairs')} + {offset}")
        elif name.startswith("kept_") and node in written:
            lines += [f"if {name} is not None:", f"    {name}_rows = {name} + {offset}"]
        else:
            lines.append(f"{name}_rows = {name} + {offset}")
    return lines
