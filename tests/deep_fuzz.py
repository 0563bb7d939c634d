"""Thousands of random programs through the generated kernels: `python tests/deep_fuzz.py`.

Seeded and resumable: programs are drawn in chunks, each from a seed of its own; finished chunks are written down, and
count for as long as the code is the same. A failing program is printed shrunk, with the chunk that found it, and the
command ends with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
BUDGETS = {"executor": 100, "kernels": 25}


def run_chunk(kind: str, number: int, count: int) -> None:
    """Check `count` programs. Raises `AssertionError`, with the program shrunk."""
    sys.path.insert(0, str(HERE))
    import torch
    from hypothesis import HealthCheck, given, seed, settings

    torch.set_num_threads(1)
    if kind == "kernels":
        from fused_kernels import fused_function as function
    else:
        from stage_executor import executed as function
    from numerics import Report, check
    from strategies import CUBE, MANHATTAN, cases, programs

    from autobertc.dsl.ops import registered

    report = Report()
    dtypes = (torch.float32, torch.bfloat16) + ((torch.float16,) if kind == "executor" else ())

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    @given(programs(), cases(dtypes))
    def inside_the_budget(program, case) -> None:
        check(program, case, function(program), report)

    # One chunk in five has primitives that the project does not know.
    if number % 5 == 0:
        with registered(CUBE), registered(MANHATTAN):
            inside_the_budget()
    else:
        inside_the_budget()
    print(json.dumps(vars(report)))


@cache
def code_digest() -> str:
    """A hash of the code that the programs go through, and of the checks."""
    hasher = hashlib.blake2b(digest_size=16)
    for folder in ("dsl", "compiler", "runtime", "tests"):
        for path in sorted((HERE.parent / folder).rglob("*.py")):
            hasher.update(path.read_bytes())
    return hasher.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=BUDGETS, help="what runs the programs: the NumPy executor or the kernels")
    parser.add_argument("--count", type=int, default=3_000, help="programs")
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--state", type=Path, default=Path("build/deep_fuzz.json"), help="finished chunks")
    parser.add_argument("--chunk", type=int, help="run this chunk alone, in this process")
    options = parser.parse_args()
    size = BUDGETS[options.kind]
    if options.chunk is not None:
        run_chunk(options.kind, options.chunk, size)
        return 0
    finished = json.loads(options.state.read_text()) if options.state.exists() else {}
    finished = finished["chunks"] if finished.get("code") == code_digest() else {}
    wanted = [options.seed + index for index in range(-(-options.count // size))]
    left = [number for number in wanted if f"{options.kind}/{number}" not in finished]
    print(f"{options.kind}: {len(wanted) * size} programs, {(len(wanted) - len(left)) * size} of them checked before")
    command = [sys.executable, __file__, options.kind, "--chunk"]
    # Tiny matrices: threads would only wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    failed = []
    start = time.monotonic()
    with ThreadPoolExecutor(options.workers) as pool:
        runs = {
            pool.submit(
                subprocess.run, [*command, str(number)], capture_output=True, text=True, env=environment
            ): number
            for number in left
        }
        for done, run in enumerate(as_completed(runs), start=1):
            result, number = run.result(), runs[run]
            if result.returncode:
                failed.append(number)
                print(
                    f"chunk {number} failed; again with: {' '.join([*command, str(number)])}\n{result.stderr[-6000:]}"
                )
            else:
                finished[f"{options.kind}/{number}"] = json.loads(result.stdout.splitlines()[-1])
                options.state.parent.mkdir(parents=True, exist_ok=True)
                partial = options.state.with_suffix(".partial")
                partial.write_text(json.dumps({"code": code_digest(), "chunks": finished}, indent=1))
                partial.replace(options.state)
            print(
                f"{done * size} programs in {time.monotonic() - start:.0f} s, {len(failed)} chunks failed", flush=True
            )
    totals = {
        name: sum(finished[f"{options.kind}/{number}"][name] for number in wanted if number not in failed)
        for name in ("ill_conditioned", "near_rows", "not_finite")
    }
    print(f"{len(wanted) * size} programs, {len(failed)} chunks failed; compared by noise or left out: {totals}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
