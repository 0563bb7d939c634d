"""The loop of every strategy, on a planted problem."""

from __future__ import annotations

from collections import Counter

import pytest

from autobertc.dsl.errors import UserError
from autobertc.search.genome import Genome
from autobertc.search.planted import Planted
from autobertc.search.randomness import generator
from autobertc.search.space import Space
from autobertc.search.strategies.base import History, Proposal, Record
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.op_nas import OpNas
from autobertc.search.strategies.priorities import CALIBRATED
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.registry import COMBINATIONS, combination, strategy
from autobertc.search.strategies.selection import best, crowding, pareto_ranks, tournament

CONVOLUTIONS = ((3, 3), (5, 5), (7, 9), (65, 3))
SMALL = Settings(population=20, parents=4, alive=20, tournament=5)


def search(
    name: str, problem: Planted, rounds: int, settings: Settings = SMALL, fresh: bool = False, count: int = 10
) -> tuple[list[Record], list[Proposal]]:
    """A search; `fresh` makes the strategy and the records anew each round, as a resume does."""
    records: list[Record] = []
    proposals: list[Proposal] = []
    running = strategy(name, problem, settings, seed=5)
    for round in range(rounds):
        if fresh:
            running = strategy(name, problem, settings, seed=5)
            records = [Record(**vars(record)) for record in records]
        found = running.propose(History(records), round, count)
        for slot, proposal in enumerate(found):
            score = problem.score(proposal.genome, len(records))
            records.append(Record(len(records), round, slot, proposal.genome, (score,), proposal.parents))
        proposals += found
    return records, proposals


@pytest.mark.parametrize("name", COMBINATIONS)
def test_pure(name: str) -> None:
    problem = Planted(1)
    _, once = search(name, problem, 8)
    _, again = search(name, problem, 8, fresh=True)
    assert once == again
    assert len({proposal.genome for proposal in once}) == 80
    assert {proposal.origin for proposal in once[:20]} == {"random"}
    expected = "random" if name.startswith("random") else "child"
    assert {proposal.origin for proposal in once[20:]} == {expected}


def test_children_are_one_edit_from_the_best() -> None:
    problem = Planted(2)
    records, proposals = search("evolution", problem, 4)
    for round in (2, 3):
        known = sorted(records[: 10 * round], key=lambda record: (-record.score, record.number))[:4]
        children = proposals[10 * round : 10 * round + 10]
        parents = [child.parents for child in children]
        assert Counter(parents) == Counter((known[(round * 10 + slot) % 4].number,) for slot in range(10))
        for child in children:
            (parent,) = child.parents
            before, after = problem.traits(records[parent].genome), problem.traits(child.genome)
            assert (
                sum(a != b for one, two in zip(before, after, strict=True) for a, b in zip(one, two, strict=True)) == 1
            )
            assert len(child.edits) == 1 and child.probabilities == ()


def test_without_attention_a_child_has_one_edit() -> None:
    """Between layers; the program that a new attention layer takes is left as it was drawn."""
    searching = strategy("evolution", GenomeSpace(Space(layers=2)), Settings(population=4, parents=2), 0)
    genomes = [Genome.read("\n".join(f"conv: {size}" for size in sizes)) for sizes in CONVOLUTIONS]
    history = History([Record(n, 0, n, genome, (float(n),)) for n, genome in enumerate(genomes)])
    proposals = searching.propose(history, 4, 40)
    assert len(proposals) == 40 and all(len(each.edits) == 1 for each in proposals if each.origin == "child")
    assert any(True for each in proposals for _ in each.genome.programs())


def test_layers_that_the_space_settles_need_not_be_of_its_operations() -> None:
    space = Space.from_table(
        {"layers": 3, "kernels": [3, 5], "ops": ["matmul", "transpose", "softmax"],
         "fixed": {"1": "conv: 65", "2": "att: softmax(scale(Q @ K.T)) @ V"}}
    )  # fmt: skip
    searching = strategy("op-nas", GenomeSpace(space), Settings(population=6, parents=2), 0)
    history = History()
    for round in range(4):
        first = len(history.records)
        proposals = searching.propose(history, round, 6)
        new = [
            Record(first + n, round, n, each.genome, (float(n % 5),), each.parents) for n, each in enumerate(proposals)
        ]
        history = History([*history.records, *new])
    assert any(record.parents for record in history.records)


def test_priorities_log_their_probabilities() -> None:
    problem = Planted(2)
    records, proposals = search("op-nas", problem, 4)
    running = OpNas(problem, SMALL, 5)
    priorities = running.priorities(History(records[:30]))
    for child in proposals[30:]:
        (probability,) = child.probabilities
        before = problem.traits(records[child.parents[0]].genome)
        after = problem.traits(child.genome)
        ((layer, position),) = [
            (layer, position)
            for layer in range(4)
            for position in range(6)
            if before[layer][position] != after[layer][position]
        ]
        legal = [choice for choice in range(10) if choice != before[layer][position]]
        expected = priorities.operation(layer, position, legal)[legal.index(after[layer][position])]
        assert probability == pytest.approx(expected)


def test_tau_is_set_by_the_first_population_alone() -> None:
    problem = Planted(4)
    records, _ = search("op-nas", problem, 6)
    running = OpNas(problem, SMALL, 5, CALIBRATED)
    assert running.tau(History(records[:10])) is None
    tau = running.tau(History(records[:20]))
    assert tau is not None and tau == running.tau(History(records)) == OpNas(problem, SMALL, 9).tau(History(records))
    assert running.priorities(History(records)).tau == tau
    assert OpNas(problem, Settings(population=30), 5).tau(History(records)) != tau


def test_failed_and_stopped_candidates_are_known_but_not_learnt_from() -> None:
    problem = Planted(4)
    records, _ = search("op-nas", problem, 3)
    failed = [Record(number, 3, 0, problem.random(generator(number))) for number in range(30, 34)]
    running = OpNas(problem, SMALL, 5)
    assert running.statistics(History([*records, *failed])).scores == [record.score for record in records]
    children = running.propose(History([*records, *failed]), 4, 40)
    assert not {child.genome for child in children} & {record.genome for record in [*records, *failed]}
    assert not {31, 32, 33} & {number for child in children for number in child.parents}
    nothing = [Record(number, 0, number, record.genome) for number, record in enumerate(records)]
    assert {proposal.origin for proposal in running.propose(History(nothing), 3, 5)} == {"random"}


def test_rescored_parents_are_selected_by_their_last_score() -> None:
    problem = Planted(2)
    records, _ = search("evolution", problem, 2)
    top = best([(record, record.values) for record in records], 4)
    running = strategy("evolution", problem, SMALL, seed=5)
    children = running.propose(History(records, {top[0].number: (-100.0,)}), 2, 20)
    parents = {child.parents[0] for child in children}
    assert top[0].number not in parents and top[1].number in parents
    op_nas = OpNas(problem, SMALL, 5)
    plain = op_nas.statistics(History(records)).scores
    assert OpNas(problem, SMALL, 5).statistics(History(records, {top[0].number: (-100.0,)})).scores == plain


def test_one_at_a_time_takes_turns() -> None:
    problem = Planted(2)
    records, _ = search("evolution", problem, 2)
    running = strategy("evolution", problem, SMALL, seed=5)
    parents = []
    for round in range(20, 28):
        (found,) = running.propose(History(records), round, 1)
        records.append(Record(len(records), round, 0, found.genome))  # which failed: the best are as they were
        parents += found.parents
    assert len(set(parents)) == 4 and Counter(parents) == dict.fromkeys(parents, 2)


class Crowded(Planted):
    """Every child is a duplicate."""

    def edit_program(self, genome, draws):  # type: ignore[no-untyped-def]
        edited = super().edit_program(genome, draws)
        draws.rejected += 1
        return edited and type(edited)(genome, edited.edit)


def test_duplicates_give_way_to_random_candidates() -> None:
    _, proposals = search("op-nas", Crowded(2), 3)
    for proposal in proposals[20:]:
        assert proposal.origin == "random" and proposal.parents == ()
        assert proposal.redraws == 51 and proposal.rejected == 51
    assert len({proposal.genome for proposal in proposals}) == 30


def test_an_exhausted_space_gives_fewer() -> None:
    problem = Planted(0, layers=1, positions=1)
    for name in ("random", "evolution"):
        records, _ = search(name, problem, 4, Settings(population=5, parents=2))
        assert len(records) == 10


def test_named_genomes_come_first_and_once() -> None:
    problem = Planted(2)
    one, two = (problem.random(generator(number, "named")) for number in (1, 2))
    for count in (1, 10):
        records, proposals = search("op-nas", problem, 10, Settings(population=20, named=(one, two)), count=count)
        assert [proposal.origin for proposal in proposals[:3]] == ["named", "named", "random"]
        assert [record.genome for record in records[:2]] == [one, two]


def test_crossover_mixes_layers_of_two_parents() -> None:
    problem = Planted(2)
    records, proposals = search("evolution", problem, 3, Settings(population=20, parents=4, crossover=1.0))
    for child in proposals[20:]:
        assert child.origin == "crossover"
        one, two = (records[number].genome for number in child.parents)
        assert one != two
        layers = zip(child.genome.key, one.key, two.key, strict=True)
        assert all(own in (first, second) for own, first, second in layers)


def test_aging_forgets() -> None:
    problem = Planted(2)
    records, _ = search("evolution", problem, 2)
    values = [(record, record.values) for record in records]
    winners = {tournament(values, 5, 5, generator(seed)).number for seed in range(20)}
    assert winners == {max(records[-5:], key=lambda record: record.score).number}
    assert len({tournament(values, 20, 3, generator(seed)).number for seed in range(40)}) > 3


def test_pareto_rank_then_crowding() -> None:
    values = [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (2.0, 1.0), (0.0, 0.0), (2.1, 1.9)]
    assert pareto_ranks(values) == [0, 0, 0, 1, 2, 0]
    front = [values[index] for index in (0, 1, 2, 5)]
    # (2, 2) has the neighbours (1, 3) and (2.1, 1.9): sides 1.1 and 1.1 of 2; (2.1, 1.9) has 1 and 1 of 2.
    assert crowding(front) == pytest.approx([float("inf"), float("inf"), 1.1, 1.0])
    genome = Planted(0).random(generator(0))
    candidates = [(Record(number, 0, number, genome, own), own) for number, own in enumerate(values)]
    assert [record.number for record in best(candidates, 5)] == [0, 1, 2, 5, 3]


def test_unknown_names() -> None:
    with pytest.raises(UserError, match="did you mean 'op-nas'"):
        combination("op-naz")
    with pytest.raises(ValueError, match="population is at least 1"):
        Settings(population=0)
