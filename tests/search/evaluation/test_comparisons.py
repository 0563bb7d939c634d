"""Hurdles' thresholds, the signal gate and the last stage: what they say of given scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from jobs import SETTINGS, SIZES, genome_text

from autobertc.dsl import parse
from autobertc.runtime.flops import plain_flops
from autobertc.search.evaluation.gate import gate_jobs, judge_gate
from autobertc.search.evaluation.hurdles import MIN_SCORES, thresholds
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.evaluation.last_stage import (
    Finalist,
    equal_flops_steps,
    final_jobs,
    judge_last_stage,
)
from autobertc.search.evaluation.named import NAMES, named

GENOMES = [named(name, 2).text(SIZES) for name in NAMES]


def results(scores: list[float | None]) -> list[CandidateResult]:
    return [
        CandidateResult(number, "failed" if score is None else "complete", values=() if score is None else (score,))
        for number, score in enumerate(scores)
    ]


def test_thresholds_are_quantiles_of_those_that_reached_a_rung() -> None:
    finished = [(0.1 * n, 0.2 * n, 0.3 * n) for n in range(9)] + [(0.0,)] * 2
    at_10, at_25 = thresholds(finished, 3)
    assert (at_10, at_25) == (pytest.approx(0.3), pytest.approx(0.8))
    assert thresholds(finished, 3, stopped=0.0) == (0.0, 0.0)
    assert thresholds(finished[::-1], 3) == (at_10, at_25)
    assert thresholds([*finished, (math.nan, math.nan)], 3) == (at_10, at_25)  # one would stop all that come after


def test_no_hurdle_without_enough_scores() -> None:
    few = [(0.5, 0.5, 0.5)] * (MIN_SCORES - 1)
    assert thresholds(few, 3) == (-math.inf, -math.inf) == thresholds([], 3)
    assert thresholds([*few, (0.5,)], 3) == (0.5, -math.inf)


def test_gate_jobs() -> None:
    jobs = gate_jobs(GENOMES, 3, SETTINGS.changed(hurdles=True), seed=1, snapshot="here")
    assert [job.genome for job in jobs] == [genome for genome in GENOMES for _ in range(3)]
    assert len({job.seed for job in jobs}) == 3 and [job.seed for job in jobs[:3]] == [job.seed for job in jobs[3:6]]
    assert {(job.purpose, job.snapshot, job.settings["hurdles"]) for job in jobs} == {("gate", "here", False)}
    with pytest.raises(ValueError, match="3 architectures and 2 seeds"):
        gate_jobs(GENOMES[:2], 2, SETTINGS, 0)


def test_the_gate_compares_spreads() -> None:
    passed = judge_gate(results([0.1, 0.2, 0.5, 0.6, 0.9, 1.0]), 2)
    assert passed.between_architectures == pytest.approx(0.4)
    assert passed.between_seeds == pytest.approx(math.sqrt(0.005))
    assert passed.passed and passed.ratio == pytest.approx(0.4 / math.sqrt(0.005)) and passed.correlation == 1
    assert "is passed" in passed.statement
    failed = judge_gate(results([0.1, 0.9, 0.5, 0.6, 0.9, 0.3]), 2)
    assert not failed.passed and failed.ratio < 2 and "NOT passed" in failed.statement


def test_the_gate_on_scores_of_no_signal() -> None:
    rng = np.random.default_rng(0)
    verdicts = [judge_gate(results(rng.normal(size=12).tolist()), 3).passed for _ in range(200)]
    assert sum(verdicts) < 20


def test_the_gate_without_enough_results() -> None:
    verdict = judge_gate(results([0.1, None, 0.5, 0.6, 0.9, 1.0]), 2)
    assert not verdict.passed and "1 of 3 architectures failed" in verdict.statement
    assert judge_gate(results([0.1, None, 0.5, 0.6, 0.9, 1.0, 0.3, 0.3]), 2).passed
    same = judge_gate(results([0.5] * 6), 2)
    assert not same.passed and math.isnan(same.correlation)
    assert same.to_dict()["correlation"] is None and same.to_dict()["ratio"] is None


def test_equal_flops() -> None:
    steps = equal_flops_steps(GENOMES, 10_000, 16)
    costs = [plain_flops(parse(genome), 16).total for genome in GENOMES]
    assert steps[0] == 10_000 and len(set(steps)) > 1
    assert all(
        step * cost == pytest.approx(10_000 * costs[0], rel=1e-3) for step, cost in zip(steps, costs, strict=True)
    )


def test_last_stage() -> None:
    finalists = [
        Finalist("winner", GENOMES[2], 7),
        Finalist("bert", GENOMES[0]),
        Finalist("best random", genome_text()),
    ]
    jobs = final_jobs(finalists, 3, SETTINGS.changed(hurdles=True), seed=1, steps=100)
    assert len(jobs) == 9 and all(job.purpose == "final" and job.snapshot is None for job in jobs)
    assert [job.seed for job in jobs[:3]] == [job.seed for job in jobs[3:6]] and len({job.seed for job in jobs}) == 3
    assert jobs[3].settings["steps"] == 100, "the reference"
    found = results([0.6, 0.7, 0.8, 0.5, 0.5, 0.5, 0.9, None, 0.7])
    stage = judge_last_stage(finalists, 3, jobs, found)
    assert [each.mean for each in stage.standings] == pytest.approx([0.7, 0.5, 0.8])
    bert, other = stage.differences
    # By hand: differences 0.1, 0.2, 0.3; t(0.975, 2) = 4.302653, standard error 0.1 / sqrt(3).
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (bert.mean, bert.low, bert.high, bert.pairs) == pytest.approx((0.2, 0.2 - half, 0.2 + half, 3), abs=1e-6)
    assert (other.mean, other.pairs) == (pytest.approx(-0.1), 2)
    assert "winner less bert: +0.2000 (95% interval" in str(bert)
    data = stage.to_dict()
    assert data["standings"][2]["scores"] == [0.9, None, 0.7] and data["differences"][0]["pairs"] == 3


def test_last_stage_of_one_seed_or_none() -> None:
    finalists = [Finalist("winner", GENOMES[2]), Finalist("bert", GENOMES[0])]
    jobs = final_jobs(finalists, 1, SETTINGS, seed=1)
    [one] = judge_last_stage(finalists, 1, jobs, results([0.6, 0.5])).differences
    assert one.low is None and "no interval" in str(one)
    [none] = judge_last_stage(finalists, 1, jobs, results([None, 0.5])).differences
    assert math.isnan(none.mean) and none.pairs == 0
