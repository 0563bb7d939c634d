"""The last stage: finalists trained from scratch, several seeds, equal FLOPs, and compared in pairs.

A search's own scores are of weights that were inherited and of a few steps; what it found is worth what it is worth
here. Each finalist has as many steps as cost what the reference's cost, and the same seeds, so that differences are
within a seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from autobertc.dsl import parse
from autobertc.runtime.flops import plain_flops
from autobertc.search.evaluation.gate import ROUND
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.randomness import seed_of

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finalist:
    """One architecture of the last stage.

    Attributes:
        label: "winner", "second", "best random", "bert", ...
        genome: the `.abz` text.
        number: its trial's, if it has one.
    """

    label: str
    genome: str
    number: int | None = None


@dataclass(frozen=True)
class Standing:
    """What a finalist reached: `scores` by seed, None where a training failed."""

    finalist: Finalist
    steps: int
    flops: int
    scores: tuple[float | None, ...]

    @property
    def mean(self) -> float:
        """Over the seeds that did not fail; NaN where all did."""
        found = [score for score in self.scores if score is not None]
        return float(np.mean(found)) if found else math.nan


@dataclass(frozen=True)
class Difference:
    """One finalist less another, by seed: the mean, and its 95% interval by Student's t; None of fewer than two."""

    one: str
    other: str
    mean: float
    low: float | None
    high: float | None
    pairs: int

    def __str__(self) -> str:
        words = f"{self.one} less {self.other}: {self.mean:+.4f}"
        if self.low is None:
            return f"{words} ({self.pairs} pair{'s' * (self.pairs != 1)}: no interval)"
        return f"{words} (95% interval {self.low:+.4f} to {self.high:+.4f}, {self.pairs} pairs)"


@dataclass(frozen=True)
class LastStage:
    """Standings in the order of the finalists, and the first finalist less every other."""

    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "standings": [
                {
                    "label": each.finalist.label,
                    "number": each.finalist.number,
                    "genome": each.finalist.genome,
                    "steps": each.steps,
                    "flops": each.flops,
                    "scores": list(each.scores),
                    "mean": each.mean if math.isfinite(each.mean) else None,
                }
                for each in self.standings
            ],
            "differences": [
                {**vars(each), "mean": each.mean if math.isfinite(each.mean) else None} for each in self.differences
            ],
        }


def equal_flops_steps(genomes: Sequence[str], steps: int, length: int, reference: int = 0) -> list[int]:
    """Steps for each genome whose FLOPs are those of `steps` of the reference, one at least; of a batch of equal size,
    whatever it is."""
    costs = [plain_flops(parse(genome), length).total for genome in genomes]
    return [max(1, round(steps * costs[reference] / cost)) for cost in costs]


def final_jobs(
    finalists: Sequence[Finalist],
    seeds: int,
    settings: EvaluationSettings,
    seed: int,
    steps: int | None = None,
    reference: str = "bert",
) -> list[CandidateJob]:
    """The trainings of the last stage, finalist by finalist, every seed of each.

    Args:
        seeds: how many.
        steps: of the reference; by default those of the settings.
        reference: the label of the finalist whose FLOPs all have; the first one where there is none.
    """
    labels = [finalist.label for finalist in finalists]
    genomes = [finalist.genome for finalist in finalists]
    place = labels.index(reference) if reference in labels else 0
    each_steps = equal_flops_steps(genomes, steps or settings.steps, settings.length, place)
    return [
        CandidateJob(
            number=slot * seeds + number,
            round=ROUND,
            slot=slot * seeds + number,
            genome=genomes[slot],
            seed=seed_of(seed, "last stage", number) % 2**63,
            purpose="final",
            settings=settings.changed(hurdles=False, steps=each_steps[slot]).to_dict(),
        )
        for slot in range(len(finalists))
        for number in range(seeds)
    ]


def judge_last_stage(
    finalists: Sequence[Finalist], seeds: int, jobs: Sequence[CandidateJob], results: Sequence[CandidateResult]
) -> LastStage:
    """Standings and paired differences of the results of `final_jobs`, in their order."""
    standings = []
    for slot, finalist in enumerate(finalists):
        own = results[slot * seeds : (slot + 1) * seeds]
        scores = tuple(result.values[0] if result.state == "complete" else None for result in own)
        standings.append(Standing(finalist, int(jobs[slot * seeds].settings["steps"]), own[0].flops, scores))
    differences = tuple(paired_difference(standings[0], other) for other in standings[1:])
    return LastStage(tuple(standings), differences)


def paired_difference(one: Standing, other: Standing) -> Difference:
    """One less the other over the seeds that neither failed with."""
    pairs = zip(one.scores, other.scores, strict=True)
    found = np.array([a - b for a, b in pairs if a is not None and b is not None])
    labels = (one.finalist.label, other.finalist.label)
    if len(found) == 0:
        return Difference(*labels, math.nan, None, None, 0)
    mean = float(found.mean())
    if len(found) == 1:
        return Difference(*labels, mean, None, None, 1)
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    return Difference(*labels, mean, mean - half, mean + half, len(found))
