"""Scoring by formula, for tests of tables: importable by worker processes, and quick, so that nothing is parsed."""

from __future__ import annotations

from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.randomness import generator


def evaluate(job: CandidateJob) -> CandidateResult:
    """Softmax and convolutions of 5 are good; noise by the job's seed and genome. Convolutions of 65 alone fail."""
    layers = job.genome.partition("}")[2]
    if "att" not in layers and "conv: 5" not in layers:
        return CandidateResult(job.number, "failed", "junk: so it was decided")
    score = sum(worth * layers.count(word) for word, worth in (("softmax", 0.2), ("relu", 0.1), ("conv: 5", 0.2)))
    noise = generator(job.seed, job.genome, job.snapshot or "").normal(scale=0.02 + 0.03 * bool(job.snapshot))
    return CandidateResult(job.number, "complete", values=(score + noise,), flops=1000)


def raising(job: CandidateJob) -> CandidateResult:
    raise ArithmeticError("no such luck")


CALLS: list[CandidateJob] = []


def stopping(job: CandidateJob) -> CandidateResult:
    """Stops the whole program at the 20th call."""
    CALLS.append(job)
    if len(CALLS) == 20:
        raise KeyboardInterrupt
    return evaluate(job)
