"""Equation 3 against numbers worked out by hand, and both presets."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from autobertc.search.planted import OPERATIONS, Planted
from autobertc.search.randomness import generator
from autobertc.search.strategies.priorities import CALIBRATED, PAPER, Preset, Statistics, softmax, upper_bounds

RAW = Preset("raw", alpha=0.5, tau=1.0, standardise=False, shrinkage=1.0)


def initial_population(unit: float = 1.0, size: int = 100, seed: int = 0) -> Statistics:
    problem = Planted(seed, unit=unit)
    statistics = Statistics(len(OPERATIONS), 0)
    for number in range(size):
        genome = problem.random(generator(seed, number, "test"))
        statistics.add(problem.traits(genome), problem.score(genome, number))
    return statistics


def contrasts(statistics: Statistics, preset: Preset) -> list[float]:
    priorities = statistics.priorities(preset)
    everything = range(len(OPERATIONS))
    draws = [priorities.operation(layer, position, everything) for layer in range(4) for position in range(6)]
    return [max(p) / min(p) for p in draws]


def test_upper_bounds_by_hand() -> None:
    # N = 4 + 2 + 0; ln 6 = 1.791759; sqrt(2 ln 6 / 4) = 0.946509, / 2: 1.338566, never had, as once: 1.893018.
    bounds = upper_bounds(np.array([0.7, 0.2, 0.5]), np.array([4.0, 2.0, 0.0]), 0.5)
    assert bounds == pytest.approx([0.7 + 0.473255, 0.2 + 0.669283, 0.5 + 0.946509], abs=1e-6)


def test_statistics_by_hand() -> None:
    # Two layers, one position, three operations, n0 = 1. Candidates and their scores:
    statistics = Statistics(3, 0)
    statistics.add([(0,), (0,)], 1.0)
    statistics.add([(0,), (1,)], 0.5)
    statistics.add([(1,), (0,)], 0.0)
    # All: mean 0.5. Pooled, each candidate once: op 0 three times, mean 0.5; op 1 twice, mean 0.25, drawn toward 0.5
    # with weight 2/3: 1/3. Layer 1: op 0 twice, mean 0.75, toward 0.5: 2/3; op 1 once, mean 0, toward 1/3: 1/6.
    # Layer 2: op 0 twice, mean 0.5; op 1 once, mean 0.5, toward 1/3: 5/12. Op 2 never: the global mean.
    means = statistics.operations.means(0.5, shrinkage=1.0, centre=0.0, scale=1.0)
    assert means[:, 0] == pytest.approx(np.array([[2 / 3, 1 / 6, 1 / 2], [1 / 2, 5 / 12, 1 / 2]]))
    # N = 3 in a layer: 0.5 sqrt(2 ln 3 / 2) = 0.524074, 0.5 sqrt(2 ln 3 / 1) = 0.741152.
    priorities = statistics.priorities(RAW)
    table = [[2 / 3 + 0.524074, 1 / 6 + 0.741152, 1.241152], [1.024074, 5 / 12 + 0.741152, 1.241152]]
    assert priorities.operations[:, 0] == pytest.approx(np.array(table), abs=1e-6)
    weights = [math.exp(value) for value in table[0]]
    assert priorities.operation(0, 0, [0, 1, 2]) == pytest.approx([w / sum(weights) for w in weights], abs=1e-6)
    legal = priorities.operation(0, 0, [2, 1])
    assert legal == pytest.approx([w / (weights[1] + weights[2]) for w in (weights[2], weights[1])], abs=1e-6)


def test_standardised_by_median_and_mad() -> None:
    statistics = Statistics(2, 0)
    for choice, score in ((0, 10.0), (0, 12.0), (1, 13.0), (1, 17.0), (0, 30.0)):
        statistics.add([(choice,)], score)
    # Median 13; distances 3, 1, 0, 4, 17: median 3. A candidate of 13 is 0, one of 16 would be 1.
    assert statistics.scaling(CALIBRATED) == (13.0, 3.0)
    assert statistics.scaling(PAPER) == (0.0, 1.0)
    same = statistics.priorities(replace(CALIBRATED, tau=1.0)).operations
    moved = Statistics(2, 0)
    for choice, score in ((0, 10.0), (0, 12.0), (1, 13.0), (1, 17.0), (0, 30.0)):
        moved.add([(choice,)], 5 + score / 100)
    assert moved.priorities(replace(CALIBRATED, tau=1.0)).operations == pytest.approx(same)


def test_scaling_of_equal_scores_is_finite() -> None:
    statistics = Statistics(2, 0)
    for score in (1.0, 1.0, 1.0, 2.0):
        statistics.add([(0,)], score)
    assert statistics.scaling(CALIBRATED) == (1.0, 0.25)
    flat = Statistics(2, 0)
    flat.add([(0,), (1,)], 3.0)
    assert flat.scaling(CALIBRATED) == (3.0, 1.0)
    assert np.isfinite(flat.priorities(CALIBRATED).operation(0, 0, [0, 1])).all()


def test_paper_preset_draws_uniformly() -> None:
    # Two operations, 50 candidates each, mean scores 0.505 and 0.495: the likeliest over the least likely is 1.01.
    statistics = Statistics(2, 0)
    for number in range(100):
        statistics.add([(number % 2,)], 0.505 - 0.01 * (number % 2))
    priorities = statistics.priorities(replace(PAPER, shrinkage=0.0))
    p = priorities.operation(0, 0, [0, 1])
    assert p[0] / p[1] == pytest.approx(1.01, abs=1e-3)
    # A planted population, scores the part that is right: one operation in 24 is worth 0.04.
    assert np.median(contrasts(initial_population(unit=1 / 24), PAPER)) < 1.1
    # The same scores as percentages: now it is the exponential of several points.
    assert np.median(contrasts(initial_population(unit=100 / 24), PAPER)) > 50


def test_calibrated_preset_has_its_contrast() -> None:
    statistics = initial_population()
    logs = [math.log(ratio) for ratio in contrasts(statistics, CALIBRATED)]
    assert math.exp(float(np.median(logs))) == pytest.approx(5.0)
    assert math.exp(float(np.median(logs))) == pytest.approx(np.median(contrasts(statistics, CALIBRATED)), rel=0.01)
    # Whatever the unit of the scores.
    tau = statistics.priorities(CALIBRATED).tau
    assert initial_population(unit=7.0).priorities(CALIBRATED).tau == pytest.approx(tau)
    # Once set, it stays.
    assert initial_population(size=200).priorities(CALIBRATED, tau).tau == tau


def test_right_operations_are_likelier() -> None:
    problem = Planted(3)
    statistics = Statistics(len(OPERATIONS), 0)
    for number in range(400):
        genome = problem.random(generator(3, number, "test"))
        statistics.add(problem.traits(genome), problem.score(genome, number))
    priorities = statistics.priorities(CALIBRATED)
    likeliest = [
        int(np.argmax(priorities.operation(layer, position, range(10)))) == problem.plant[layer][position]
        for layer in range(4)
        for position in range(6)
    ]
    assert sum(likeliest) >= 20


def test_kernels_have_a_distribution_a_layer() -> None:
    statistics = Statistics(2, 3)
    for _ in range(5):
        statistics.add([(0, 1), 0], 1.0)
        statistics.add([2, 1], 0.0)
    priorities = statistics.priorities(replace(RAW, alpha=0.0))
    first, second = (priorities.kernel(layer, [0, 1, 2]) for layer in (0, 1))
    assert second[0] > second[2] > second[1]
    assert first[2] < first[1] < first[0]  # pooled: 0 was good in the other layer, 1 bad there, 2 bad here
    assert priorities.kernel(7, [0, 2]) == pytest.approx([0.5, 0.5])
    assert priorities.operation(0, 9, [0, 1]) == pytest.approx([0.5, 0.5])


def test_softmax_of_large_numbers() -> None:
    assert softmax([1e6, 1e6 - 1], 1.0) == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])
