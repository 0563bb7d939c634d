"""Tables for people."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.dsl.ops import Primitive, primitives

_SETS = {"paper": "the paper's Table 1", "second": "second set, off by default in the search"}


def print_ops() -> None:
    """The primitives callable from a file, set by set."""
    console = standard_output()
    for op_set, title in _SETS.items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in ("operation", "type rule", "value"):
            table.add_column(column, overflow="fold")
        ops: list[Primitive] = sorted(primitives(op_set), key=lambda op: (op.arity, op.name))  # type: ignore[arg-type]
        for op in ops:
            call = f"{op.name} {'x' if op.arity == 1 else 'x y'}"
            table.add_row(call, escape(op.rule), escape(op.formula))
        console.print(table)
        console.print()
    console.print("inputs: Q K V P, each [N,D]; D is the head width, N the sequence length", markup=False)


def print_inspection(facts: dict[str, Any]) -> None:
    """What `inspection.inspect` found."""
    console = standard_output()
    sizes = ", ".join(f"{key} {value}" for key, value in facts["sizes"].items() if value is not None)
    console.print(f"{facts['name']}: {sizes}", markup=False, highlight=False)
    console.print(_layers(facts))
    for program in facts["programs"]:
        console.print(f"\n{program['name']} (layers {_numbers(program['layers'])})", markup=False, style="bold")
        for title in ("source", "canonical"):
            console.print(f"{title}:", style="dim")
            console.print(program[title].rstrip(), markup=False, highlight=False, soft_wrap=True)
        stages = Table(box=None, pad_edge=False)
        for column in ("value", "library call", "type"):
            stages.add_column(column, overflow="fold")
        for stage in program["stages"]:
            stages.add_row(stage["name"], stage["call"], escape(stage["type"]))
        console.print(stages)
    counts = Table(box=None, pad_edge=False)
    counts.add_column("parameters")
    counts.add_column("count", justify="right")
    for part, count in facts["parameters"].items():
        counts.add_row(part, f"{count:,}")
    console.print()
    console.print(counts)
    flops = facts["flops"]
    console.print(
        f"\nFLOPs at length {flops['length']}: {flops['plain']['total']:.4g} plain, "
        f"{flops['electra']['total']:.4g} by ELECTRA's convention",
        markup=False,
        highlight=False,
    )


def print_plans(facts: dict[str, Any]) -> None:
    """What `inspection.inspect_plans` found."""
    console = standard_output()
    for program in facts["programs"]:
        title = f"{program['name']}: {program['growth']} in N"
        if program["library_calls"]:
            title += f", {program['library_calls']} PyTorch calls between kernels"
        console.print(title, markup=False, style="bold")
        console.print(program["source"].rstrip(), markup=False, highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False)
        table.add_column("stage", no_wrap=True)
        for column in ("reads", "writes"):
            table.add_column(column, overflow="fold")
        for column in ("bytes", "FLOPs", "exp, log"):
            table.add_column(column, justify="right", no_wrap=True)
        for direction in ("forward", "backward"):
            part = program[direction]
            for stage in part["stages"]:
                costs = (f"{stage[name]:,}" for name in ("bytes", "flops", "transcendentals"))
                name = f"{direction} {stage['number']} {stage['kind']}"
                table.add_row(name, " ".join(stage["reads"]), " ".join(stage["writes"]), *costs)
            least = part["least"]
            table.add_row(f"{direction} in all", "", "", f"{part['bytes']:,}", f"{part['flops']:,}", "", style="bold")
            table.add_row("least possible", "", "", f"{least['bytes']:,}", f"{least['flops']:,}", "", style="dim")
        console.print(table)
        console.print(
            f"one head, N = {program['length']}, D = {program['head_dim']}, {8 * program['itemsize']}-bit inputs\n",
            style="dim",
        )


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:12])
    return shown if len(numbers) <= 12 else f"{shown}, ... {len(numbers)} in all"


def _layers(facts: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("layer", "kind", "what"):
        table.add_column(column)
    runs: list[tuple[int, int, str, str]] = []
    for layer in facts["layers"]:
        if layer["type"] == "attention":
            what = f"{layer['program']}({', '.join(layer['inputs'])})"
        else:
            what = f"kernel size {layer['kernel_size']}"
        if runs and runs[-1][2:] == (layer["type"], what):
            runs[-1] = (runs[-1][0], layer["number"], *runs[-1][2:])
        else:
            runs.append((layer["number"], layer["number"], layer["type"], what))
    for first, last, kind, what in runs:
        table.add_row(str(first) if first == last else f"{first}-{last}", kind, what)
    return table
