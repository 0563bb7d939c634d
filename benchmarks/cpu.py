"""All benchmarks on the CPU, one thread: `python benchmarks/cpu.py [SECTION ...] [--pairs N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from compile_time import compile_time
from encoder import encoder
from measure import Section, Settings, as_json, environment, print_section
from memory import memory
from rich.console import Console
from start_up import start_up
from training_speed import training_speed
from training_step import training_step

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "start-up": start_up,
    "compile-time": compile_time,
    "encoder": encoder,
    "training-step": training_step,
    "training-speed": training_speed,
    "memory": memory,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table as soon as it is there, and write the JSON file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS) + "; by default all")
    parser.add_argument("--pairs", type=int, default=Settings.pairs, help="alternating pairs (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers too")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown or not 1 <= given.pairs <= 48:
        parser.error(f"no section {unknown[0]!r}" if unknown else "--pairs is from 1 to 48")

    torch.set_num_threads(1)
    settings = Settings(pairs=given.pairs)
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # into a file or a pipe: no line broken
    console.print(", ".join(f"{key} {value}" for key, value in environment().items()), highlight=False)
    sections = []
    for name in given.sections or SECTIONS:
        sections.append(SECTIONS[name](settings))
        print_section(sections[-1], console)
        if given.json:  # after every table, so that an interrupted run leaves what it has
            given.json.write_text(json.dumps(as_json(sections, settings), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
