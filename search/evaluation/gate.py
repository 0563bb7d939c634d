"""The signal gate: before a search, whether its evaluation tells architectures apart at all.

A few architectures by two or three seeds. Where seeds move a score about as much as architectures do, the order that a
search goes by is a lottery; the gate says so in so many words, and leaves it to the user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.randomness import seed_of

REQUIRED = 2.0
"""The spread between architectures must be so many times that between seeds."""
ROUND = -1
"""The round of jobs that belong to none."""


@dataclass(frozen=True)
class GateVerdict:
    """What the gate found.

    Attributes:
        passed: whether the spread between architectures is `REQUIRED` times that between seeds.
        between_architectures: the standard deviation of architectures' mean scores.
        between_seeds: the standard deviation of an architecture's scores over seeds, pooled over architectures.
        correlation: Spearman's, of the architectures' order under two seeds, the mean over pairs of seeds.
        scores: `[architectures][seeds]`, None where an evaluation failed.
        statement: all that in a sentence or two.
    """

    passed: bool
    between_architectures: float
    between_seeds: float
    correlation: float
    scores: tuple[tuple[float | None, ...], ...]
    statement: str

    @property
    def ratio(self) -> float:
        """The first spread over the second; infinite where seeds change nothing."""
        return self.between_architectures / self.between_seeds if self.between_seeds else math.inf

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "passed": self.passed,
            "between_architectures": self.between_architectures,
            "between_seeds": self.between_seeds,
            "ratio": self.ratio if math.isfinite(self.ratio) else None,
            "correlation": self.correlation if math.isfinite(self.correlation) else None,
            "scores": [list(row) for row in self.scores],
            "statement": self.statement,
        }


def gate_jobs(
    genomes: Sequence[str], seeds: int, settings: EvaluationSettings, seed: int, snapshot: str | None = None
) -> list[CandidateJob]:
    """The gate's evaluations, architecture by architecture, every seed of each.

    Args:
        genomes: `.abz` texts, three at least.
        seeds: of each, two at least.
        seed: the study's.
        snapshot: the untrained super-net that the search would start from, if it shares weights.

    Raises `ValueError` where there are too few.
    """
    if len(genomes) < 3 or seeds < 2:
        raise ValueError(f"a gate needs 3 architectures and 2 seeds, not {len(genomes)} and {seeds}")
    plain = settings.changed(hurdles=False).to_dict()
    return [
        CandidateJob(
            number=slot * seeds + number,
            round=ROUND,
            slot=slot * seeds + number,
            genome=genome,
            seed=seed_of(seed, "gate", number) % 2**63,
            purpose="gate",
            snapshot=snapshot,
            settings=plain,
        )
        for slot, genome in enumerate(genomes)
        for number in range(seeds)
    ]


def judge_gate(results: Sequence[CandidateResult], seeds: int) -> GateVerdict:
    """The verdict on the results of `gate_jobs`, in their order."""
    flat = [result.values[0] if result.state == "complete" else None for result in results]
    rows = tuple(tuple(flat[start : start + seeds]) for start in range(0, len(flat), seeds))
    whole = np.array([row for row in rows if None not in row], float)
    if len(whole) < 3:
        lost = len(rows) - len(whole)
        words = (
            f"The signal gate is not passed: {lost} of {len(rows)} architectures failed, too few are left to compare."
        )
        return GateVerdict(False, math.nan, math.nan, math.nan, rows, words)
    architectures = float(whole.mean(1).std(ddof=1))
    noise = float(np.sqrt(whole.var(axis=1, ddof=1).mean()))
    correlation = _correlation(whole)
    passed = architectures >= REQUIRED * noise and architectures > 0
    return GateVerdict(
        passed, architectures, noise, correlation, rows, _statement(passed, architectures, noise, correlation)
    )


def _correlation(scores: np.ndarray[Any, Any]) -> float:
    """Between seeds; NaN where all architectures score the same."""
    pairs = [
        spearmanr(scores[:, one], scores[:, other]).statistic
        for one, other in combinations(range(scores.shape[1]), 2)
        if np.ptp(scores[:, one]) and np.ptp(scores[:, other])
    ]
    return float(np.mean(pairs)) if pairs else math.nan


def _statement(passed: bool, architectures: float, noise: float, correlation: float) -> str:
    ratio = f"{architectures / noise:.1f}" if noise else "infinitely many"
    found = (
        f"architectures spread by {architectures:.4f} (standard deviation), seeds by {noise:.4f}, {ratio} times less; "
        f"rank correlation between seeds {correlation:.2f}"
    )
    if passed:
        return f"The signal gate is passed: {found}."
    return (
        f"The signal gate is NOT passed: {found}. At least {REQUIRED:g} times is asked for: below it a search follows "
        "the seeds. Train longer, or take a proxy with more signal."
    )
