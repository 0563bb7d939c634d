"""A search without torch: scores by arithmetic, weights that are a number in a file, candidates that misbehave."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from autobertc.dsl.architecture import KERNEL_SIZES, ConvolutionLayer, Sizes
from autobertc.dsl.errors import UserError
from autobertc.runtime.files import write_text
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.positions import traverse
from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Proposal
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.driver import Driver, Watcher
from autobertc.search.study.features import Features
from autobertc.search.study.plan import Plan
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.workers import make_workers
from autobertc.search.study.workers.base import WorkerSettings

SIZES = Sizes(hidden=32, heads=2, intermediate=64, vocab=200, max_length=64)
LAYERS = 3
FEATURES = Features(LAYERS, 8)
ANCHOR = "conv: 9\n" * LAYERS


def kernels(genome: Genome) -> tuple[int, ...]:
    return tuple(layer.kernel for layer in genome.layers if isinstance(layer, ConvolutionLayer))


def of(sizes: Sequence[int]) -> Genome:
    return Genome(tuple(ConvolutionLayer(size) for size in sizes))


def evaluate(job: CandidateJob) -> CandidateResult:
    """The better the smaller the kernels are, and the more the weights were trained; with noise of its own."""
    misbehave(job)
    weights = 0.0 if job.snapshot is None else read_weights(Path(job.snapshot))
    noise = np.random.default_rng(job.seed).normal()
    score = weights - sum(kernels(Genome.read(job.genome))) + noise
    time.sleep(job.settings.get("seconds", 0.0))
    if job.output is not None:
        write_text(Path(job.output), f"{weights + 1 + 0.01 * noise!r} whole")
    return CandidateResult(job.number, "complete", values=(score,), timings={"train": 0.0}, tensors=job.output)


def misbehave(job: CandidateJob) -> None:
    """What `settings` asks of the candidate of a number, once where it names a file to remember by."""
    what = job.settings.get("misbehave", {}).get(str(job.number))
    once = job.settings.get("once")
    if what is None or job.purpose != "candidate" or (once and Path(once).exists()):
        return
    if once:
        Path(once).write_text("done")
    if what == "raise":
        raise RuntimeError("a shape\ndoes not fit")
    if what == "memory":
        raise MemoryError
    if what == "disk":
        raise OSError(28, "No space left on device", "trained.safetensors")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        os._exit(3)
    if what == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(job.settings["note"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)


def evaluate_with_latency(job: CandidateJob) -> CandidateResult:
    """With a second objective that is never the same."""
    result = evaluate(job)
    return replace(result, values=(*result.values, -time.perf_counter()))


def evaluate_by_steps(job: CandidateJob) -> CandidateResult:
    """A score that tells a job of the last stage by its settings."""
    score = job.settings["steps"] + 0.001 * (job.seed % 997) - 0.1 * sum(kernels(Genome.read(job.genome)))
    return CandidateResult(job.number, "complete", values=(score,), scores={"recall": score}, flops=1)


def evaluate_badly(job: CandidateJob) -> CandidateResult:
    """Scores that are not finite, or nothing at all."""
    if job.number == 0:
        return CandidateResult(0, "complete", values=(float("nan"),))
    if job.number == 1:
        return None  # type: ignore[return-value]
    return CandidateResult(job.number, "complete", values=(float(job.number),))


def evaluate_by_operations(job: CandidateJob) -> CandidateResult:
    """The more logsigmoids the better; every seventh candidate fails, and every ninth is stopped."""
    if job.purpose == "candidate" and job.number % 7 == 3:
        return CandidateResult(job.number, "failed", "went non-finite")
    if job.purpose == "candidate" and job.number % 9 == 5:
        return CandidateResult(job.number, "stopped", "rung 1", rungs=(0.1,), timings={"train": 1.0})
    genome = Genome.read(job.genome)
    names = [node.op.name for _, program in genome.programs() for node in traverse(program.root).order]
    score = names.count("logsigmoid") + 0.1 * float(np.random.default_rng(job.seed).normal())
    timings = {"train": 3.0, "score": 1.0}
    scores = {"recall": score, "copy": -score}
    return CandidateResult(job.number, "complete", values=(score,), scores=scores, timings=timings, flops=1000)


def read_weights(path: Path) -> float:
    """Raises `UserError` where the file is not whole."""
    number, _, whole = path.read_text().partition(" ")
    if whole != "whole":
        raise UserError(f"{path} was cut short")
    return float(number)


class NumberWeights:
    """Weights that are one number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, round: int) -> Path:
        return self.folder / f"round-{round}.txt"

    def digest(self, round: int) -> str | None:
        try:
            return hashlib.sha256(repr(read_weights(self.path(round))).encode()).hexdigest()[:16]
        except (OSError, UserError):
            return None

    def output(self, number: int) -> Path:
        return self.folder / "trained" / f"{number}.txt"

    def trained(self, number: int) -> bool:
        try:
            read_weights(self.output(number))
        except (OSError, UserError):
            return False
        return True

    def begin(self) -> None:
        self.folder.joinpath("trained").mkdir(parents=True, exist_ok=True)
        write_text(self.path(0), "0.0 whole")

    def write_back(self, round: int, children: Sequence[tuple[int, float]]) -> dict[int, int]:
        read_weights(self.path(round))
        number, _ = min(children, key=lambda child: (-child[1], child[0]))
        write_text(self.path(round + 1), f"{read_weights(self.output(number))!r} whole")
        self.path(round - 1).unlink(missing_ok=True)
        return {number: 1}

    def clean(self) -> None:
        for path in self.folder.joinpath("trained").iterdir():
            path.unlink()


class KernelSearch:
    """Evolution over kernel sizes, in a few lines."""

    def __init__(self, seed: int, parents: int = 3) -> None:
        self.seed, self.parents = seed, parents

    def propose(self, history: History, round: int, count: int) -> list[Proposal]:
        seen = {record.genome for record in history.records}
        top = best(current_values(history), self.parents) if round >= 2 else []
        proposals: list[Proposal] = []
        for slot in range(count):
            rng = generator(self.seed, round, slot, "propose")
            for _ in range(200):
                sizes = rng.choice(KERNEL_SIZES, LAYERS)
                parents: tuple[int, ...] = ()
                if top:
                    parent = top[slot % len(top)]
                    parents, sizes = (parent.number,), np.array(kernels(parent.genome))
                    sizes[rng.integers(LAYERS)] = rng.choice(KERNEL_SIZES)
                genome = of([int(size) for size in sizes])
                if genome not in seen:
                    seen.add(genome)
                    origin = "child" if parents else "random"
                    proposals.append(Proposal(genome, parents, ("a kernel",) * bool(parents), origin=origin))
                    break
        return proposals


def plan(**changes: object) -> Plan:
    values = {"seed": 3, "trials": 24, "population": 8, "initial_rounds": 2, "parents": 3, "children": 2}
    return Plan(**{**values, "anchor": of([9] * LAYERS).text(SIZES), **changes})  # type: ignore[arg-type]


def location(folder: Path) -> str:
    """Optuna's log file: many small studies are quicker with it than with SQLite."""
    folder.mkdir(parents=True, exist_ok=True)
    return f"journal:///{folder / 'study.log'}"


def driver(
    folder: Path | None,
    the_plan: Plan | None = None,
    workers: WorkerSettings | None = None,
    sharing: bool = True,
    watcher: Watcher | None = None,
) -> Driver:
    """A driver over a folder, or in memory; its workers are started."""
    storage = StudyStorage(":memory:" if folder is None else location(folder))
    if not storage.exists():
        storage.create({}, ["score"])
    made = make_workers(workers or WorkerSettings("in-process", evaluate="search_fakes:evaluate"))
    made.start()
    weights = NumberWeights(folder / "weights") if folder is not None and sharing else None
    search = Driver(storage, KernelSearch(3), the_plan or plan(), made, SIZES, FEATURES, weights)
    if watcher is not None:
        search.watcher = watcher
    return search


def outcome(storage: StudyStorage) -> tuple[object, ...]:
    """What must be the same however a search went: trials, scores, rounds, the winner; no times, no places."""
    trials = [
        (trial.number, trial.round, trial.genome, trial.parents, trial.state, trial.reason, trial.values)
        for trial in storage.trials()
    ]
    rounds = [(each.number, each.anchor, each.rescored, each.winners, each.snapshot) for each in storage.rounds()]
    scores = [(each.round, each.number, each.result.values) for each in storage.evaluations()]
    winner = best(current_values(storage.history()), 1)[0].number
    return trials, rounds, scores, winner
