"""How far a search's cheap scores can be trusted: after few inherited steps, beside full training from scratch.

    python benchmarks/search_fidelity.py --output FOLDER [--architectures 40] [--steps 300] [--full-steps 1500]
        [--proxy masked-lm|tasks|mechanistic] [--workers 2] [--sharing layer/layer branch/branch] [--smoke]

Architectures come as in a search: named ones, random ones, and children of the best, by rounds. In each round all start
from the super-net's snapshot, train `--steps`, and are written back; an anchor (BERT) is scored with them, and their
scores are less its. The same architectures are trained from scratch for `--full-steps`. Kendall's tau between the two,
of all and within rounds, for each task, with a 95% interval by bootstrap over architectures, beside the tau that as few
steps from scratch have; for each variant of sharing; and what hurdles save and whom they stop. Every evaluation is kept
in FOLDER, so that the same command goes on where it was interrupted. Results: FOLDER/fidelity.json and fidelity.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fidelity_statistics import ELITE, hurdles_report, scores_of, table, tau, tau_within

from autobertc.dsl.architecture import Sizes
from autobertc.runtime.files import write_text
from autobertc.search.biws.rounds import Trained, finish_round, start_supernet
from autobertc.search.biws.snapshots import latest_snapshot, snapshot_path
from autobertc.search.biws.supernet import Sharing
from autobertc.search.edits.children import draw_child
from autobertc.search.evaluation.candidate import evaluate
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.evaluation.named import NAMES, named
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.genome import Genome
from autobertc.search.randomness import generator, seed_of
from autobertc.search.sampling import sample_genome
from autobertc.search.space import Space

VARIANTS = ("layer/layer", "branch/layer", "layer/branch", "branch/branch")
"""Feed-forward / norms."""


class Evaluations:
    """Evaluations by several processes, each made once for all: kept in a file as they end."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.path = folder / "evaluations.jsonl"
        self.known: dict[str, CandidateResult] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    data = json.loads(line)
                except ValueError:  # the last line of a run that was killed
                    continue
                fields = {name: tuple(v) if isinstance(v, list) else v for name, v in data["result"].items()}
                self.known[data["key"]] = CandidateResult(**fields)
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) if workers > 1 else None

    def run(self, jobs: Sequence[CandidateJob], start: str = "", tensors: bool = False) -> list[CandidateResult]:
        """Results in the order of the jobs; `start` names what they start from, and `tensors` asks for the files that
        they leave as well."""
        keys = [self._key(job, start) for job in jobs]
        waiting = [
            (key, job)
            for key, job in zip(keys, jobs, strict=True)
            if key not in self.known or (tensors and job.output is not None and not Path(job.output).is_file())
        ]
        each = self.pool.map if self.pool else map
        for (key, _), result in zip(waiting, each(evaluate, [job for _, job in waiting]), strict=True):
            self.known[key] = result
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "result": asdict(result)}) + "\n")
        return [self.known[key] for key in keys]

    @staticmethod
    def _key(job: CandidateJob, start: str) -> str:
        data = {**asdict(job), "snapshot": start, "output": None}
        return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Experiment:
    """What is measured, and how large."""

    space: Space
    sizes: Sizes
    settings: EvaluationSettings
    architectures: int
    round_size: int
    full_steps: int
    seed: int
    folder: Path

    def genomes(self, scores: dict[Genome, float], round: int) -> list[Genome]:
        """A round's architectures: half the rounds' are named or random, half children of the best so far."""
        found: list[Genome] = [] if round else [named(name, self.space.layers) for name in NAMES]
        rng = generator(self.seed, round, "architectures")
        elite = sorted(scores, key=lambda genome: -scores[genome])[:ELITE]
        while len(found) < min(self.round_size, self.architectures - len(scores)):
            child = draw_child(self.space, elite[len(found) % len(elite)], rng) if round % 2 and elite else None
            genome = child.genome if child else sample_genome(self.space, rng)
            if genome not in scores and genome not in found:
                found.append(genome)
        return found

    def job(self, genome: Genome, number: int, round: int, **changes: Any) -> CandidateJob:
        """An evaluation of one of them."""
        settings = changes.pop("settings", self.settings)
        seed = seed_of(self.seed, number, changes.pop("draw", "inherited")) % 2**63
        text = genome.text(self.sizes)
        return CandidateJob(number, round, number, text, seed, settings=settings.to_dict(), **changes)


def search_like(experiment: Experiment, sharing: Sharing, runs: Evaluations, listed: list[list[Genome]]) -> Any:
    """Every architecture's scores in its round less the anchor's, and its result. `listed` are the rounds'
    architectures; where it is empty they are chosen by these scores, and put there."""
    settings, sizes, space = experiment.settings, experiment.sizes, experiment.space
    name = f"{sharing.feed_forward}-{sharing.norms}"
    folder = experiment.folder / name
    if latest_snapshot(folder) is None:
        start_supernet(folder, sizes, space.layers, settings.head, sharing, experiment.seed)
    anchor, fixed = named("bert", space.layers), bool(listed)
    values: dict[Genome, float] = {}
    adjusted: list[dict[str, float] | None] = []
    results: list[CandidateResult] = []
    for round in range(len(listed) if fixed else experiment.architectures):
        if not fixed:
            if len(values) >= experiment.architectures:
                break
            listed.append(experiment.genomes(values, round))
        first, start = len(results), str(snapshot_path(folder, round))
        outputs = [folder / f"{first + place}.safetensors" for place in range(len(listed[round]))]
        jobs = [
            experiment.job(genome, first + place, round, snapshot=start, output=str(outputs[place]))
            for place, genome in enumerate(listed[round])
        ]
        jobs.append(experiment.job(anchor, 10_000 + round, round, snapshot=start, purpose="anchor"))
        latest = latest_snapshot(folder)
        unwritten = latest is None or latest < snapshot_path(folder, round + 1)
        *found, base = runs.run(jobs, f"{name}/{round}", tensors=unwritten)
        zero = scores_of(base) or {}
        for genome, result in zip(listed[round], found, strict=True):
            scores = scores_of(result)
            less = scores and {task: value - zero.get(task, 0.0) for task, value in scores.items()}
            adjusted.append(less)
            values[genome] = less["score"] if less else -np.inf
        results += found
        if unwritten:
            whole = [each for each in found if each.state == "complete"]
            trained = [Trained(each.number, each.values[0], Path(str(each.tensors))) for each in whole]
            finish_round(folder, Path(start), trained)
        for output in outputs:
            output.unlink(missing_ok=True)
    return adjusted, results


def measure(experiment: Experiment, variants: Sequence[Sharing], workers: int) -> dict[str, Any]:
    """All of it."""
    runs, rounds = Evaluations(experiment.folder, workers), list[list[Genome]]()
    inherited = {}
    for sharing in variants:
        name = f"{sharing.feed_forward}/{sharing.norms}"
        inherited[name] = search_like(experiment, sharing, runs, rounds)
        print(f"inherited, {name}: {sum(map(len, rounds))} architectures in {len(rounds)} rounds", flush=True)
    genomes = [genome for round in rounds for genome in round]

    def from_scratch(steps: int) -> list[Any]:
        plain = experiment.settings.changed(steps=steps, hurdles=False)
        jobs = [
            experiment.job(genome, number, -1, settings=plain, purpose="final", draw="scratch")
            for number, genome in enumerate(genomes)
        ]
        return [scores_of(result) for result in runs.run(jobs)]

    full, short = from_scratch(experiment.full_steps), from_scratch(experiment.settings.steps)
    tasks = sorted({task for scores in full if scores for task in scores}, key=lambda task: (task != "score", task))
    sizes = [len(round) for round in rounds]
    known = [("from scratch", short), *((name, adjusted) for name, (adjusted, _) in inherited.items())]
    report: dict[str, Any] = {
        "architectures": len(genomes),
        "steps": experiment.settings.steps,
        "full_steps": experiment.full_steps,
        "steps_saved": 1 - experiment.settings.steps / experiment.full_steps,
        "settings": experiment.settings.to_dict(),
        "sizes": asdict(experiment.sizes),
        "rounds": sizes,
        "taus": {name: {task: tau(cheap, full, task, experiment.seed) for task in tasks} for name, cheap in known},
        "taus_within": {
            name: {task: tau_within(cheap, full, sizes, task, experiment.seed) for task in tasks}
            for name, cheap in known
        },
        "hurdles": {},
    }
    for name, (_, results) in inherited.items():
        report["hurdles"][name] = hurdles_report(experiment.settings.rungs, sizes, results, full)
    report["genomes"] = [genome.text(experiment.sizes) for genome in genomes]
    report["scores"] = {"full": full, "from scratch": short, **{name: found[0] for name, found in inherited.items()}}
    return report


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    for name, default in (
        *(("architectures", 40), ("round-size", 10), ("steps", 300), ("full-steps", 1500), ("batch", 32)),
        *(("length", 64), ("hidden", 128), ("layers", 4), ("vocab", 4096), ("workers", 1), ("seed", 0)),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--proxy", default="masked-lm")
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--sources", nargs="+", default=["default"])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--sharing", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--smoke", action="store_true", help="the smallest sizes: that it runs, nothing else")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, write both files."""
    given = arguments()
    if given.smoke:
        given.architectures, given.round_size, given.steps, given.full_steps = 8, 4, 4, 8
        given.hidden, given.layers, given.length, given.batch, given.vocab = 16, 2, 16, 4, 400
    torch.set_num_threads(1)
    settings = EvaluationSettings(
        proxy=given.proxy,
        tasks=tuple(given.tasks),
        steps=given.steps,
        batch=given.batch,
        length=given.length,
        learning_rates=tuple(given.rates),
        scored=16 if given.smoke else 512,
        sources=tuple(given.sources),
        device=given.device,
        hurdles=True,
    )
    heads = max(1, given.hidden // 32)
    sizes = Sizes(given.hidden, heads, 4 * given.hidden, given.vocab, max(64, given.length))
    given.output.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(
        Space(layers=given.layers),
        sizes,
        settings,
        given.architectures,
        given.round_size,
        given.full_steps,
        given.seed,
        given.output,
    )
    variants = [Sharing(*name.split("/")) for name in given.sharing]
    report = measure(experiment, variants, given.workers)
    write_text(given.output / "fidelity.json", json.dumps(report, indent=1) + "\n")
    write_text(given.output / "fidelity.md", table(report))
    print(table(report))


if __name__ == "__main__":
    main()
