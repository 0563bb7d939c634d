"""All benchmarks on a GPU, one command: `python benchmarks/gpu.py`; README.md says what is measured.

`--smoke` runs everything that can run without a GPU, tiny, in Triton's interpreter, and fails where values disagree.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
SECTIONS = ("programs", "models", "convolutions")
CACHES = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor", "AUTOBERTC_CACHE": "tuning"}
NO_GPU = (
    "No GPU is visible to PyTorch, so there is nothing to measure: run this where torch.cuda.is_available() is true,\n"
    "or check that everything runs, without times that mean anything, by\n"
    "    python benchmarks/gpu.py --smoke --output FOLDER"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS) + "; by default all")
    found.add_argument("--programs", nargs="+", default=[], metavar="NAME", help="only these programs")
    found.add_argument("--minutes", type=float, default=8.0, help="stop by then (default: %(default)s)")
    found.add_argument("--output", type=Path, metavar="FOLDER", help="for the results (default: benchmarks/results)")
    found.add_argument("--caches", type=Path, metavar="FOLDER", help="keep what is compiled and tuned, for another run")
    found.add_argument("--jobs", type=int, help="processes that compile ahead; 0: none (default: by processors)")
    found.add_argument("--limit", type=float, default=40.0, metavar="GIB", help="largest N x N maps (default: 40)")
    found.add_argument("--commit", help="what to write as the commit, where there is no git")
    found.add_argument("--smoke", action="store_true", help="tiny, on the processor; needs --output")
    found.add_argument("--unit", help=argparse.SUPPRESS)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; 1 where there is no GPU, or a smoke run finds a fault."""
    command = parser()
    given = command.parse_args(arguments)
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown:
        command.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    if given.smoke and not (given.output or given.unit):
        command.error("--smoke needs --output: its numbers do not belong into benchmarks/results")
    if given.smoke:
        # Before torch and Triton are imported: Triton decides when a kernel is decorated.
        os.environ["TRITON_INTERPRET"] = "1"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with tempfile.TemporaryDirectory() as folder:
        if not given.unit:  # whose caches are those of the process that started it
            os.environ.update({name: str((given.caches or Path(folder)) / leaf) for name, leaf in CACHES.items()})
        return _run(given, command)


def _run(given: argparse.Namespace, command: argparse.ArgumentParser) -> int:
    import torch

    if not given.smoke and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 1
    from gpu_run import Options, run, run_one_unit
    from gpu_work import all_subjects

    if given.smoke:
        torch.set_num_threads(1)
    if given.unit:
        run_one_unit(given.unit, given.smoke, given.limit)
        return 0
    unknown = [name for name in given.programs if name not in all_subjects()]
    if unknown:
        command.error(f"no program {unknown[0]!r}; there are {', '.join(all_subjects())}")
    options = Options(
        minutes=given.minutes,
        output=given.output or RESULTS,
        sections=tuple(given.sections) or SECTIONS,
        names=tuple(given.programs),
        jobs=max(1, (os.cpu_count() or 2) - 2) if given.jobs is None else given.jobs,
        limit_gib=given.limit,
        commit=given.commit,
        smoke=given.smoke,
    )
    return run(options, ["--limit", str(given.limit), *(["--smoke"] if given.smoke else [])])


if __name__ == "__main__":
    sys.exit(main())
