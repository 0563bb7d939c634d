"""The planted problem, and what it shows."""

from __future__ import annotations

import numpy as np
import pytest

from autobertc.search.planted import OPERATIONS, Planted, candidates_needed
from autobertc.search.randomness import generator
from autobertc.search.strategies.domain import Draws
from autobertc.search.strategies.registry import strategy


def test_plant_and_score() -> None:
    problem = Planted(1)
    assert len(set(problem.plant)) == 1 and len(set(Planted(1, same=False).plant)) == 4
    assert problem.enough == pytest.approx(19.2)
    genome = problem.random(generator(1))
    right = problem.right(genome)
    assert right == sum(
        layer[position] == problem.plant[0][position] for layer in problem.traits(genome) for position in range(6)
    )
    scores = [problem.score(genome, number) for number in range(2000)]
    assert abs(np.mean(scores) - right) < 0.05 and abs(np.std(scores) - 0.5) < 0.03
    assert problem.score(genome, 7) == Planted(1).score(genome, 7)


def test_an_edit_exchanges_one_operation_evenly() -> None:
    problem = Planted(1)
    genome = problem.random(generator(1))
    before = problem.traits(genome)
    rng = generator(2)
    places = np.zeros((4, 6))
    for _ in range(600):
        edited = problem.edit_program(genome, Draws(rng))
        assert edited is not None
        after = problem.traits(edited.genome)
        changed = [(a, b) for a in range(4) for b in range(6) if before[a][b] != after[a][b]]
        assert len(changed) == 1
        places[changed[0]] += 1
    assert places.min() > 5
    assert [node.op.name for node in next(iter(genome.programs()))[1].nodes()][1:] == [
        OPERATIONS[choice] for choice in before[0]
    ]


def test_priorities_need_fewer_candidates() -> None:
    # Of the benchmark's problem half the positions, so that it is quick; the benchmark has fifty seeds of the whole.
    differences = []
    for seed in range(8):
        problem = Planted(seed, positions=3)
        plain, by_priority = (
            candidates_needed(problem, strategy(name, problem, seed=seed), 1000) or 1000
            for name in ("evolution", "op-nas")
        )
        differences.append(by_priority - plain)
    assert np.median(differences) < -20


def test_a_limit_is_kept() -> None:
    problem = Planted(1)
    assert candidates_needed(problem, strategy("random", problem), 200) is None
