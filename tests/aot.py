"""Every kernel of the examples, and those of random programs, compiled without a GPU: `python tests/aot.py`.

Compares registers, stack and shared memory with `golden/kernels.json`, and lists the kernels that need a stack however
they are tiled. The exit code is 1 where a kernel does not compile or differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autobertc.compiler.fusion.fused_text import FusedText, fuse
from autobertc.dsl.architecture import ConvolutionLayer
from autobertc.dsl.checker import load
from autobertc.dsl.graph import Node, Program, print_program
from autobertc.runtime.ahead_of_time import TARGETS, KernelSpec, Resources, compile_best
from autobertc.runtime.resource_reports import Golden, compare, missing_golden, print_table, updated_golden
from autobertc.runtime.targets import (
    convolution_specifications,
    joining_specifications,
    launch_variants,
    launched_stages,
    specifications,
)

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "kernels.json"
DTYPE = "bfloat16"
RANDOM_TARGET = "sm_90"
HEAD_DIM = 64
MAX_OPS = 30
# Random programs in one file of kernels: a process that compiles reads all of it.
AT_ONCE = 50


def example_programs() -> dict[int, dict[str, Program]]:
    """Every distinct program of the examples by head width, named after the first example that has it."""
    found: dict[int, dict[str, Program]] = {}
    for path in sorted((HERE.parent / "examples").glob("*.abz")):
        architecture = load(path).architecture
        programs = found.setdefault(architecture.sizes.head_dim, {})
        for number, program in enumerate(architecture.programs(), start=1):
            if all(program.root is not other.root for other in programs.values()):
                programs[f"{path.stem.replace('-', '_')}_{number}"] = program
    return found


def example_widths() -> dict[int, set[int]]:
    """The convolution widths of the examples by head width."""
    found: dict[int, set[int]] = {}
    for path in (HERE.parent / "examples").glob("*.abz"):
        architecture = load(path).architecture
        widths = {layer.kernel for layer in architecture.layers if isinstance(layer, ConvolutionLayer)}
        found.setdefault(architecture.sizes.head_dim, set()).update(widths)
    return found


def compile_examples(target: str, processes: int = 2) -> list[Resources]:
    """The resources of every kernel of the examples, each with its best tile sizes."""
    widths = example_widths()
    found = []
    for head_dim, programs in example_programs().items():
        with launched_stages(_fused(programs), "the examples") as stages:
            kernels = [
                *specifications(stages, target, DTYPE, head_dim).values(),
                *convolution_specifications(sorted(widths[head_dim]), DTYPE, head_dim).values(),
                *joining_specifications(stages).values(),
            ]
            # Other head widths than the usual one stand in a kernel's name.
            suffix = "" if head_dim == HEAD_DIM else f"_head_{head_dim}"
            named = [[replace(spec, name=spec.name + suffix) for spec in specs] for specs in kernels]
            found += compile_best(named, target, processes)
    return found


def compile_variants(programs: Mapping[str, Program], target: str, processes: int = 2) -> list[Resources]:
    """The resources of the other kinds of launch of some programs, with the first tile sizes that compile."""
    with launched_stages(_fused(programs), "other launches") as stages:
        kernels = specifications(stages, target, DTYPE, HEAD_DIM)
        variants: list[Sequence[KernelSpec]] = []
        for one in stages:
            candidates = [launch_variants(spec, one.absent) for spec in kernels[one.stage.kernel_name]]
            variants += zip(*candidates, strict=True)
        return compile_best(variants, target, processes)


def random_programs(count: int, start: int = 0) -> dict[str, Program]:
    """So many distinct programs, the same ones for the same seed, by name."""
    sys.path.insert(0, str(HERE))
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from strategies import programs

    found: dict[Node, Program] = {}

    @seed(start)
    @settings(
        max_examples=10 * count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(programs(max_ops=MAX_OPS))
    def collect(program: Program) -> None:
        if len(found) < count:
            found.setdefault(program.root, program)

    collect()
    return {f"random_{number}": program for number, program in enumerate(found.values(), start=1)}


def compile_random(programs: Mapping[str, Program], processes: int = 2) -> Iterator[list[Resources]]:
    """The resources of the kernels of some programs, a few programs at a time."""
    names = list(programs)
    for first in range(0, len(names), AT_ONCE):
        fused = _fused({name: programs[name] for name in names[first : first + AT_ONCE]})
        with launched_stages(fused, "random programs") as stages:
            kernels = specifications(stages, RANDOM_TARGET, DTYPE, HEAD_DIM)
            yield compile_best(list(kernels.values()), RANDOM_TARGET, processes)


def _fused(programs: Mapping[str, Program]) -> list[FusedText]:
    return [fuse(program, name) for name, program in programs.items()]


def summarise(title: str, found: Sequence[Resources], start: float) -> bool:
    """Print how many kernels compiled, those with a stack, and the errors. Returns whether there are none."""
    failed = [one for one in found if one.error is not None]
    stacked = sorted((one for one in found if one.error is None and one.stack), key=lambda one: -one.stack)
    seconds = time.monotonic() - start
    print(
        f"{title}: {len(found)} kernels in {seconds:.0f} s, {len(failed)} failed, "
        f"{len(stacked)} with a stack however they are tiled"
    )
    for one in stacked:
        print(f"  {one.kernel}: {one.stack} bytes of stack, {one.registers} registers, {one.num_warps} warps")
    for one in failed:
        print(f"  {one.kernel}: {one.error}")
    sys.stdout.flush()
    return not failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", nargs="*", choices=TARGETS, default=list(TARGETS), help="of the examples")
    parser.add_argument("--random", type=int, default=0, metavar="N", help=f"random programs for {RANDOM_TARGET}")
    parser.add_argument("--seed", type=int, default=0, help="of the random programs")
    parser.add_argument("--update", action="store_true", help="write the golden numbers of this Triton and the targets")
    parser.add_argument("--table", action="store_true", help="print every kernel of the examples")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    good = True
    examples = []
    for target in options.targets:
        start = time.monotonic()
        found = compile_examples(target, options.processes)
        examples += found
        good &= summarise(f"examples, {target}", found, start)
        if target == RANDOM_TARGET:
            start = time.monotonic()
            variants = compile_variants(example_programs()[HEAD_DIM], target, options.processes)
            good &= summarise(f"other launches of the examples, {target}", variants, start)
    if options.table:
        print_table(examples)
    golden = read_golden()
    if options.update:
        write_golden(updated_golden(examples, golden))
    elif examples:
        differences = compare(examples, golden)
        print("\n".join(differences or [missing_golden(golden) or "as in the golden file"]))
        good &= not differences
    programs = random_programs(options.random, options.seed) if options.random else {}
    done: list[Resources] = []
    start = time.monotonic()
    for found in compile_random(programs, options.processes):
        done += found
        print(f"{len(done)} kernels of random programs in {time.monotonic() - start:.0f} s", flush=True)
    if programs:
        good &= summarise(f"{len(programs)} random programs, {RANDOM_TARGET}", done, start)
        for name, program in programs.items():
            if any(one.error is not None and one.kernel.startswith(f"{name}_") for one in done):
                print(f"{name}:\n{print_program(program)}")
    return 0 if good else 1


def read_golden() -> Golden:
    """The golden numbers; none where there is no file yet."""
    return json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def write_golden(golden: Golden) -> None:
    """Writes the golden numbers, a kernel a line."""
    lines = json.dumps(golden, indent=1, sort_keys=True)
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(re.sub(r"\n {4,}|\n {3}(?=})", " ", lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
