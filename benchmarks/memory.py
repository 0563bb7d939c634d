"""Peak growth of resident memory of one attention layer, forward and backward, compiled and lowered naively.

A measurement is a process of its own, which this file run as a program is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from measure import EXAMPLES, Row, Section, Settings
from models import compiled, example, naive

from autobertc.compiler.eager import lower, lower_naively
from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.graph import Program
from autobertc.runtime.analysis.memory import resident_growth

TARGET = 0.25
MIB = 2**20


def distinct_programs() -> Iterator[tuple[str, int, Program]]:
    """Every program of examples/ once: an example that has it, its number there, from 1, and the program."""
    seen = set()
    for path in sorted(EXAMPLES.glob("*.abz"), key=lambda path: ("small" not in path.stem, path.stem)):
        for number, program in enumerate(example(path.stem).programs(), start=1):
            text = lower_naively(program, "program", "").source
            if text not in seen:
                seen.add(text)
                yield path.stem, number, program


def is_library_attention(program: Program) -> bool:
    """Whether its compiled form consists of attention calls and keeps nothing N x N."""
    stages = lower(program, "program", "").stages
    calls = {stage.call for stage in stages}
    return "scaled_dot_product_attention" in calls and all(stage.type != "[N,N]" for stage in stages)


def measure_here(name: str, number: int, form: str, dropout: float, padded: bool, settings: Settings) -> int:
    """The growth, in bytes, in this process, which must be a fresh one."""
    architecture = example(name)
    make = compiled if form == "compiled" else naive
    model = make(architecture, replace(settings, vocabulary=16), dropout)
    program = list(architecture.programs())[number - 1]
    index = next(
        index
        for index, layer in enumerate(architecture.layers)
        if isinstance(layer, AttentionLayer) and layer.program.root is program.root
    )
    attention = model.encoder.layer[index].attention

    def inputs(length: int) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        hidden_states = torch.randn(1, length, settings.hidden, requires_grad=True)
        mask = (torch.arange(length) < length - length // 8)[None] if padded else None
        return hidden_states, mask, torch.randn(1, length, settings.hidden)

    def work(hidden_states: torch.Tensor, mask: torch.Tensor | None, gradient: torch.Tensor) -> None:
        attention(hidden_states, mask).backward(gradient)

    work(*inputs(32))  # the library's own buffers
    given = inputs(settings.memory_length)
    return resident_growth(lambda: work(*given))


def measure(name: str, number: int, form: str, dropout: float, padded: bool, settings: Settings) -> int:
    """`measure_here` in a fresh process."""
    arguments = json.dumps([name, number, form, dropout, padded, asdict(settings)])
    command = [sys.executable, str(Path(__file__).resolve()), arguments]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def memory(settings: Settings, programs: int | None = None) -> Section:
    """Every distinct program of examples/, or the first few; those of the library's form masked and with dropout too.

    The target is for the library's form without dropout; a mask changes nothing about it.
    """
    rows: list[Row] = []
    for name, number, program in list(distinct_programs())[:programs]:
        library = is_library_attention(program)
        cases = [(0.0, False, "", TARGET if library else None)]
        if library:
            cases += [(0.0, True, ", padded", TARGET), (0.1, False, ", dropout 0.1", None)]
        for dropout, padded, ending, target in cases:
            ours, theirs = (
                max(1, measure(name, number, form, dropout, padded, settings)) / MIB for form in ("compiled", "naive")
            )
            what = f"{name} {number}{ending}"
            row = Row(what, "naive lowering", "MiB", ours, theirs, ours / theirs, target=target)
            rows.append(row)
    title = f"Growth of resident memory, one attention layer, forward + backward, N = {settings.memory_length}"
    return Section(title, tuple(rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, number, form, dropout, padded, fields = json.loads(sys.argv[1])
    print(measure_here(name, number, form, dropout, padded, Settings(**fields)))
