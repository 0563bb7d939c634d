"""The numbers and sentences of a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_report
from scipy import stats

from autobertc.search.report.axes import duration, number, ticks
from autobertc.search.report.data import Candidate, Fidelity, Ledger, Objective, ReportData
from autobertc.search.report.figures_maps import effect
from autobertc.search.report.sentences import about_cost, about_effect, about_fidelity, about_gate, verdict
from autobertc.search.report.statistics import Estimate, front, kendall, mean, paired, spearman


@pytest.fixture(scope="module")
def data() -> ReportData:
    return synthetic_report.full(60)


def test_verdicts(data: ReportData) -> None:
    assert data.last_stage
    roles = {each.role: each for each in data.last_stage.contenders}

    def told(bert: float, random: float) -> str:
        noise = (0.0, 0.01, -0.01)
        contenders = tuple(
            replace(roles[role], scores=tuple(level + each * sign for each in noise), tasks={})  # type: ignore[index]
            for role, level, sign in (("winner", 0.7, 1), ("bert", bert, -1), ("random median", random, -1))
        )
        assert data.last_stage
        return verdict(replace(data, last_stage=replace(data.last_stage, seeds=(0, 1, 2), contenders=contenders)))[0]

    assert told(0.5, 0.5) == "The winner beats median random and BERT"
    assert told(0.5, 0.7) == "The winner beats BERT; the rest is within the noise"
    assert told(0.9, 0.5) == "The winner loses to BERT"
    assert told(0.7, 0.7) == "No difference that stands out from the noise"


def test_cost_with_and_without_sharing(data: ReportData) -> None:
    each = replace(data.candidates[0], device_seconds=360.0)
    data = replace(data, candidates=(each,) * 100, ledger=Ledger("GPU", True, {}, 3600.0))
    assert about_cost(data) == (
        "100 candidates took 10.0 GPU-hours with shared weights, against about 100 GPU-hours from scratch: 90% saved."
    )
    assert "was not measured" in about_cost(replace(data, ledger=Ledger("GPU", True)))
    assert "shared no weights" in about_cost(replace(data, ledger=Ledger("GPU", False, {}, 3600.0)))
    assert "saved nothing" in about_cost(replace(data, ledger=Ledger("GPU", True, {}, 36.0)))


@pytest.mark.parametrize(("slope", "told"), [(1, "helped:"), (-1, "misled"), (0, "cannot be told")])
def test_whether_priorities_helped(slope: int, told: str) -> None:
    rng = np.random.default_rng(0)
    parent = Candidate(0, 0, 0, "random", "complete", (3,), values=(0.5,))
    children = [
        Candidate(
            number,
            1,
            number,
            "child",
            "complete",
            (3,),
            values=(0.5 + slope * draw + float(rng.normal(0, 0.02)),),
            parents=(0,),
            probabilities=(draw,),
        )
        for number, draw in enumerate(rng.uniform(0.01, 0.4, 60).tolist(), 1)
    ]
    assert told in about_effect(effect(ReportData("x", (Objective("a"),), (parent, *children))))
    assert "too few" in about_effect(effect(ReportData("x", (Objective("a"),), (parent, *children[:5]))))


def test_gate_sentences(data: ReportData) -> None:
    assert data.gate
    assert about_gate(data.gate).startswith("Signal gate passed. Scores of 6 architectures spread 3.4 times")
    assert "lottery" in about_gate(replace(data.gate, passed=False))
    assert "far more than" in about_gate(replace(data.gate, between_seeds=0.0))


def test_fidelity_sentences() -> None:
    def points(ys: list[int]) -> tuple[tuple[str, float, float], ...]:
        return tuple((str(x), float(x), float(y)) for x, y in enumerate(ys))

    up, down = list(range(12)), list(range(12, 0, -1))
    mixed = [5, 1, 9, 3, 8, 2, 7, 4, 6, 5, 3, 7]
    tasks = (Fidelity("a", points(up)), Fidelity("b", points(down)), Fidelity("c", points(mixed)))
    told = about_fidelity(ReportData("x", (Objective("a"),), fidelity=tasks))
    assert "better than chance, on a." in told and "wrong way round on b." in told and "On 1 other score" in told


def test_kendall_is_scipys_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 6, 25).tolist()
    y = (np.array(x) + rng.integers(0, 6, 25)).tolist()
    found = kendall(x, y)
    assert found and found.low is not None and found.high is not None
    assert found.value == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.low < found.value < found.high
    assert found.low > 0
    assert kendall([1, 2], [1, 2]) is None
    assert kendall([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == Estimate(1.0)  # so few are in order by chance, too
    assert kendall([1, 1, 1], [1, 2, 3]) is None


def test_kendalls_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(40):
        x = rng.normal(size=30)
        y = 0.6 * x + 0.8 * rng.normal(size=30)
        found = kendall(x.tolist(), y.tolist())
        assert found and found.low is not None and found.high is not None
        # tau of a bivariate normal is 2 / pi * arcsin(rho).
        held += found.low < 2 / np.pi * np.arcsin(0.6) < found.high
    assert held >= 33


def test_spearman_is_scipys() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40).tolist()
    y = (np.array(x) + rng.normal(size=40)).tolist()
    found = spearman(x, y)
    assert found and found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.excludes_zero


def test_mean_and_paired_intervals() -> None:
    values = (0.1, 0.4, 0.2, 0.5)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert mean(values) == Estimate(pytest.approx(0.3), pytest.approx(low), pytest.approx(high))
    assert mean((0.5,)) == Estimate(0.5)
    difference = paired((1.0, 2.0, 3.0), (0.9, 1.9, 2.9))
    assert difference and difference.low == pytest.approx(0.1) and difference.excludes_zero
    assert paired((1.0, 2.0), (1.0,)) is None


def test_front_is_what_nothing_dominates() -> None:
    assert front([(1, 1), (2, 0), (0, 2), (0, 0), (2, 0), (1, 0)]) == [0, 1, 2, 4]


def test_numbers_in_words() -> None:
    assert [number(each) for each in (0.0, 0.12345, -12.345, 123456.7, 1e-6)] == [
        "0",
        "0.123",
        "−12.3",  # noqa: RUF001
        "123,457",
        "1.00e−06",  # noqa: RUF001
    ]
    assert [duration(each) for each in (0.01, 12, 600, 86_400)] == ["10 ms", "12 s", "10 min", "24.0 h"]
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.3, 0.31, 3) == [-0.25, 0, 0.25]


def test_json_of_another_kind_is_refused() -> None:
    for text in ('{"name": "x"}', '{"name": "x", "objectives": [], "more": 1}', "[]"):
        with pytest.raises(ValueError, match="not the data of a report"):
            ReportData.from_json(text)
