"""Random programs: legal, and each as likely as the next."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from autobertc.dsl.architecture import ConvolutionLayer
from autobertc.dsl.errors import UserError
from autobertc.dsl.graph import Program, make_node, verify
from autobertc.dsl.types import DD, DN, ND, NN
from autobertc.search.counting import State, Tables, signatures
from autobertc.search.randomness import generator
from autobertc.search.sampling import below, sample_genome, sample_layer, sample_program
from autobertc.search.space import PROGRAM, Space


def test_every_number_is_another_expression_of_the_state():
    space = Space(inputs=("Q", "K"), least_inputs=1, length=(1, 4))
    for kind in (ND, DN, NN, DD):
        for mixes in (False, True):
            for size in range(4):
                state = State(kind, mixes)
                count = space.tables.count(state, size)
                nodes = {space.tables.expression(state, size, number) for number in range(count)}
                assert len(nodes) == count
                assert all(node.type == kind and node.mixes == mixes for node in nodes)


def test_the_smallest_expressions_of_each_type():
    space = Space(inputs=("Q", "K"))
    smallest = space.tables.smallest
    assert smallest[ND] == (make_node("Q"), make_node("K"))
    assert set(smallest[DN]) == {make_node("transpose", node) for node in smallest[ND]}
    assert {node.op.name for node in smallest[NN]} == {"cosine_similarity", "euclidean_distance"}
    assert len(smallest[NN]) == 8
    assert all(node.op.name == "matmul" for node in smallest[DD])
    assert Tables([op for op in space.primitives if op.name in ("neg", "add")], "QK").smallest[NN] == ()


def test_signatures_are_all_ways_to_type_an_operation():
    (matmul,) = [op for op in Space().primitives if op.name == "matmul"]
    assert len(signatures(matmul)) == 8
    assert sum(it.is_map_product for it in signatures(matmul)) == 1
    assert {it.operands for it in signatures(matmul) if it.result == ND} == {(ND, DD), (NN, ND)}


def test_every_sample_is_a_legal_program():
    space = Space(ops=Space.from_table({"ops": "all"}).ops, length=(2, 16))
    rng = generator(1, "samples")
    rejected: Counter[str] = Counter()
    lengths = Counter()
    for _ in range(400):
        program = sample_program(space, rng, rejected)
        verify(program)
        assert space.legal(program) is None and program.root.mixes
        lengths[sum(bool(node.operands) for node in program.nodes())] += 1
    assert set(lengths) > set(range(3, 13))
    assert set(rejected) <= {"uses too few inputs", "grows faster than quadratic in N"}


@pytest.mark.parametrize("length", [2, 3])
def test_expressions_of_a_length_are_equally_likely(length):
    space = Space(inputs=("Q", "K"), least_inputs=2, length=(length, length))
    count = space.tables.count(PROGRAM, length)
    legal = {
        root
        for number in range(count)
        if space.illegal(root := space.tables.expression(PROGRAM, length, number)) is None
    }
    rng = generator(7, "uniform")
    drawn = Counter(sample_program(space, rng).root for _ in range(10 * len(legal)))
    assert set(drawn) <= legal
    assert chisquare([drawn[root] for root in legal]).pvalue > 1e-3


def test_lengths_are_equally_likely():
    space = Space(least_inputs=1, length=(2, 6), growth="cubic")
    rng = generator(3, "lengths")

    def written(node):
        return bool(node.operands) + sum(written(operand) for operand in node.operands)

    drawn = Counter(written(sample_program(space, rng).root) for _ in range(2000))
    assert chisquare([drawn[length] for length in range(2, 7)]).pvalue > 1e-3


def test_kinds_and_kernels_are_equally_likely():
    space = Space(length=(2, 3))
    rng = generator(4, "layers")
    layers = [layer for _ in range(150) for layer in sample_genome(space, rng).layers]
    kernels = Counter(layer.kernel for layer in layers if isinstance(layer, ConvolutionLayer))
    convolutions = sum(kernels.values())
    assert chisquare([convolutions, len(layers) - convolutions]).pvalue > 1e-3
    assert chisquare([kernels[size] for size in space.kernels]).pvalue > 1e-3


def test_settled_layers_are_taken_as_they_are():
    space = Space(layers=3, length=(2, 4), fixed=((0, "conv: 65"), (2, "attention")))
    for seed in range(20):
        genome = sample_genome(space, generator(seed))
        assert space.legal_genome(genome) is None
        assert genome.key[0] == 65 and not isinstance(genome.key[2], int)
    assert sample_layer(space, 1, generator(0), kind="convolution").kernel in space.kernels


def test_a_space_of_attention_alone():
    genome = sample_genome(Space(kernels=(), layers=4), generator(0))
    assert len(list(genome.programs())) == 4


def test_one_seed_one_sample():
    assert sample_genome(Space(), generator(5, "a")) == sample_genome(Space(), generator(5, "a"))
    assert sample_genome(Space(), generator(5, "a")) != sample_genome(Space(), generator(5, "b"))


def test_large_numbers_are_drawn_evenly():
    bound = 3 << 70
    rng = np.random.Generator(np.random.PCG64(0))
    thirds = Counter(below(bound, rng) * 3 // bound for _ in range(3000))
    assert set(thirds) == {0, 1, 2} and chisquare([thirds[third] for third in range(3)]).pvalue > 1e-3


def test_a_corner_without_legal_programs_is_an_error(monkeypatch):
    space = Space(length=(2, 4))
    monkeypatch.setattr(type(space), "illegal", lambda self, root: "never")
    with pytest.raises(UserError, match="no legal program found"):
        sample_program(space, generator(0))


def test_samples_print_as_programs():
    assert str(sample_program(Space(), generator(11))).startswith(("att: ", "let "))
    assert isinstance(sample_program(Space(), generator(11)), Program)
