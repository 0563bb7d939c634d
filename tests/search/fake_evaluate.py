"""Scoring by formula, for tests of tables: importable by worker processes."""

from __future__ import annotations

import os

from autobertc.dsl.architecture import AttentionLayer
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.positions import positions
from autobertc.search.randomness import generator


def evaluate(job: CandidateJob) -> CandidateResult:
    """Softmax and convolutions of 5 are good; noise by the job's seed and genome. Kernels of 65 in both layers fail."""
    genome = Genome.read(job.genome)
    score = 0.0
    for layer in genome.layers:
        if isinstance(layer, AttentionLayer):
            ops = [node.op.name for node in positions(layer.program)]
            score += 0.2 * ("softmax" in ops) + 0.1 * ("relu" in ops) - 0.02 * len(ops)
        else:
            score += {3: 0.05, 5: 0.2, 65: -0.1}[layer.kernel]
    if score == -0.2:
        return CandidateResult(job.number, "failed", "junk: so it was decided")
    noise = generator(job.seed, job.genome, job.snapshot or "").normal(scale=0.02 + 0.03 * bool(job.snapshot))
    return CandidateResult(job.number, "complete", values=(score + noise,), flops=1000 + os.getpid() % 1)


def raising(job: CandidateJob) -> CandidateResult:
    raise ArithmeticError("no such luck")


CALLS = []


def stopping(job: CandidateJob) -> CandidateResult:
    """Stops the whole program at the 50th call."""
    CALLS.append(job)
    if len(CALLS) == 50:
        raise KeyboardInterrupt
    return evaluate(job)
