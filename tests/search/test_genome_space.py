"""Strategies on real genomes: what they propose is legal, new and counted right."""

from __future__ import annotations

import pytest

from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.graph import verify
from autobertc.search.positions import positions
from autobertc.search.randomness import generator
from autobertc.search.space import Space
from autobertc.search.strategies.base import History, Record
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.registry import strategy

SPACE = Space(layers=3, length=(2, 5), kernels=(3, 7, 31))


@pytest.mark.parametrize("name", ["evolution", "op-nas", "op-nas-paper", "aging"])
def test_search(name: str) -> None:
    domain = GenomeSpace(SPACE)
    settings = Settings(population=10, parents=2, crossover=0.2, tournament=3)
    records: list[Record] = []
    probabilities = []
    for round in range(5):
        # A fresh strategy each round: a resume.
        proposals = strategy(name, GenomeSpace(SPACE, domain.cache), settings, seed=3).propose(
            History(records), round, 5
        )
        assert len(proposals) == 5
        for slot, proposal in enumerate(proposals):
            assert SPACE.legal_genome(proposal.genome) is None
            for _, program in proposal.genome.programs():
                verify(program)
            if proposal.origin == "child":
                assert 1 <= len(proposal.edits) <= 2
                probabilities += proposal.probabilities
            score = float(generator(len(records)).normal())
            records.append(Record(len(records), round, slot, proposal.genome, (score,), proposal.parents))
    keys = {domain.cache.candidate(record.genome) for record in records}
    assert len(keys) == len(records)
    assert bool(probabilities) == name.startswith("op-nas")
    assert all(0 < probability <= 1 for probability in probabilities)


def test_traits_are_positions_and_kernels() -> None:
    domain = GenomeSpace(SPACE)
    genome = domain.random(generator(2))
    for layer, trait in zip(genome.layers, domain.traits(genome), strict=True):
        if isinstance(layer, AttentionLayer):
            assert not isinstance(trait, int)
            assert [SPACE.ops[choice] for choice in trait] == [node.op.name for node in positions(layer.program)]
        else:
            assert isinstance(trait, int) and SPACE.kernels[trait] == layer.kernel


def test_paper_preset_edits_both_ways_in_every_child() -> None:
    domain = GenomeSpace(SPACE)
    settings = Settings(population=10, parents=3)
    first = strategy("op-nas-paper", domain, settings, 1).propose(History(), 0, 10)
    records = [Record(number, 0, number, proposal.genome, (float(number),)) for number, proposal in enumerate(first)]
    both, half = (
        strategy(name, domain, settings, 1).propose(History(records), 1, 40) for name in ("op-nas-paper", "op-nas")
    )
    inter = [sum(any(kind in edit for kind in (": turn:", ": kernel:")) for edit in child.edits) for child in both]
    assert set(inter) == {1}
    assert {len(child.edits) for child in half} == {1, 2}
