"""Which candidates are one."""

from __future__ import annotations

import pytest

from autobertc.compiler.keys import keys
from autobertc.dsl.checker import check_expression
from autobertc.search import identity
from autobertc.search.edits import draw_child
from autobertc.search.genome import Genome
from autobertc.search.identity import Identities, KeyCache
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_genome
from autobertc.search.space import Space


def genome(*layers: str) -> Genome:
    return Genome.read("\n".join(layers))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("conv: 3", "att: softmax(Q @ K.T)"), ("conv: 3", "att: softmax(K @ Q.T) @ V")),
        (("att: softmax(Q @ K.T) @ V",), ("att: softmax(P @ Q.T) @ K",)),
        (("att: Q @ (K + V).T @ P",), ("att: Q @ K.T @ P + Q @ V.T @ P",)),
        (("att: neg(neg(Q)) @ K.T @ V",), ("att: Q @ neg(K).T @ neg(V)",)),
    ],
)
def test_candidates_of_one_function_are_duplicates(left, right):
    known = Identities()
    assert known.add(genome(*left), 7) is None
    assert known.find(genome(*right)) == 7
    assert known.add(genome(*right), 8) == 7
    assert len(known) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("conv: 3", "conv: 5"), ("conv: 5", "conv: 3")),
        (("conv: 3",), ("conv: 3", "conv: 3")),
        (("conv: 3",), ("att: softmax(Q @ K.T)",)),
        (("att: softmax(Q @ K.T) @ V",), ("att: softmax(Q @ K.T) @ Q",)),
        (("att: softmax(Q @ K.T) @ V",), ("att: softmax(scale(Q @ K.T)) @ V",)),
    ],
)
def test_candidates_of_other_functions_are_not(left, right):
    known = Identities()
    known.add(genome(*left), 0)
    assert known.find(genome(*right)) is None
    assert known.add(genome(*right), 1) is None
    assert len(known) == 2 and known.find(genome(*right)) == 1


def test_a_shared_key_is_confirmed(monkeypatch):
    """Where hashes collide, values decide."""
    monkeypatch.setattr(KeyCache, "candidate", lambda self, genome: ("collision",))
    known = Identities()
    known.add(genome("att: softmax(Q @ K.T) @ V"), 0)
    assert known.add(genome("att: softmax(Q @ K.T) @ Q"), 1) is None
    assert known.unconfirmed == 1
    assert known.find(genome("att: softmax(K @ P.T) @ Q")) == 0
    assert known.find(genome("att: softmax(Q @ K.T) @ Q")) == 1


def test_programs_without_finite_values_are_told_apart_by_structure():
    huge = "att: exp(exp(exp(exp(square(square(square({})))))))"
    known = Identities()
    assert known.add(genome(huge.format("Q + K")), 0) is None
    assert known.find(genome(huge.format("K + Q"))) == 0
    assert known.find(genome(huge.format("V + K"))) is None


def test_keys_are_kept_for_so_many_programs(monkeypatch):
    computed = []
    monkeypatch.setattr(identity, "keys", lambda program: computed.append(program) or keys(program))
    cache = KeyCache(limit=2)
    programs = [check_expression(f"softmax(Q @ K.T) @ {name}") for name in "QKV"]
    for program in (programs[0], programs[1], programs[0], programs[2], programs[0], programs[1]):
        assert cache.keys(program) == keys(program)
    # The second was asked for least recently when the third came.
    assert computed == [programs[0], programs[1], programs[2], programs[1]]
    assert (cache.hits, cache.misses) == (2, 4)


def test_of_the_children_of_one_parent_a_sixth_or_so_repeat_another():
    """As measured on the default space: 15% of 500 children of 5 parents."""
    space = Space()
    rng = generator(1, "duplicates")
    known = Identities()
    parents = [sample_genome(space, rng) for _ in range(5)]
    for number, parent in enumerate(parents):
        known.add(parent, number)
    children = [draw_child(space, parents[number % 5], rng).genome for number in range(300)]
    repeated = sum(known.add(child, 5 + number) is not None for number, child in enumerate(children))
    assert 0.05 < repeated / 300 < 0.3
    assert known.unconfirmed == 0
