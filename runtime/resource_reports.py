"""What kernels take, as a table for people and beside a golden file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autobertc.runtime.ahead_of_time import Resources, triton_version

# Triton version -> target -> kernel -> "registers", "stack", "shared"
Golden = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]
REGISTER_TOLERANCE = 8


def print_table(resources: Sequence[Resources], console: Console | None = None) -> None:
    """A row for each kernel and target; then, where there are any, the errors."""
    console = console or Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("kernel", overflow="fold")
    table.add_column("target", no_wrap=True)
    for column in ("registers", "stack", "shared", "warps", "stages"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("matmuls", overflow="fold")
    for one in resources:
        numbers = (one.registers, one.stack, one.shared)
        shown = [f"{number:,}" if one.registers else "-" for number in numbers]
        matmuls = "\n".join(f"{count} {name}" for name, count in one.matmul_instructions.items()) or "-"
        table.add_row(escape(one.kernel), one.target, *shown, str(one.num_warps), str(one.num_stages), matmuls)
    console.print(table)
    for one in resources:
        if one.error is not None:
            console.print(f"{one.kernel}, {one.target}: {one.error}", markup=False, highlight=False, soft_wrap=True)


def missing_golden(golden: Golden) -> str | None:
    """Where the golden file has nothing of the installed Triton, that in words: no failure."""
    if (version := triton_version()) in golden:
        return None
    return f"no golden numbers of Triton {version}, only of {', '.join(sorted(golden)) or 'none'}: nothing compared"


def compare(resources: Sequence[Resources], golden: Golden) -> list[str]:
    """What differs from the golden file, in words; nothing where `missing_golden`.

    Shared memory and stack are compared exactly, registers within `REGISTER_TOLERANCE`: those are the assembler's
    choice. Errors differ, and kernels of the file that were not compiled, if anything was for their target.
    """
    if missing_golden(golden):
        return []
    targets = golden[triton_version()]
    differences = []
    for one in resources:
        place = f"{one.kernel}, {one.target}"
        expected = targets.get(one.target, {}).get(one.kernel)
        if one.error is not None:
            differences.append(f"{place}: {one.error}")
        elif expected is None:
            differences.append(f"{place}: not in the golden file")
        else:
            for name, slack in (("registers", REGISTER_TOLERANCE), ("stack", 0), ("shared", 0)):
                value = getattr(one, name)
                if abs(value - expected[name]) > slack:
                    differences.append(f"{place}: {name} {value}, was {expected[name]}")
    compiled = {(one.target, one.kernel) for one in resources}
    for target in sorted({one.target for one in resources}):
        gone = [kernel for kernel in targets.get(target, {}) if (target, kernel) not in compiled]
        differences += [f"{kernel}, {target}: in the golden file, but not compiled" for kernel in gone]
    return differences


def updated_golden(resources: Sequence[Resources], golden: Golden) -> Golden:
    """The golden file with these numbers in the place of all that it has of their targets in this Triton."""
    targets = dict(golden.get(triton_version(), {}))
    targets |= {target: {} for target in {one.target for one in resources}}
    for one in resources:
        if one.error is None:
            numbers = {"registers": one.registers, "stack": one.stack, "shared": one.shared}
            targets[one.target] = {**targets[one.target], one.kernel: numbers}
    return {**golden, triton_version(): targets}
