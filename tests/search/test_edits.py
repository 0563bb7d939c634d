"""Edits: what each kind does, undoing, chance, and what never happens."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from scipy.stats import chisquare

from autobertc.dsl.architecture import AttentionLayer, Sizes
from autobertc.dsl.checker import check_expression, read_program
from autobertc.dsl.graph import Program, print_program, verify
from autobertc.search.crossover import Crossover, draw_crossover
from autobertc.search.edits import (
    KINDS,
    InLayer,
    LayerEdit,
    draw_between,
    draw_child,
    draw_edit,
    draw_within,
    program_edits,
)
from autobertc.search.genome import Genome
from autobertc.search.positions import positions
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_genome, sample_program
from autobertc.search.space import Space

DEEP = bool(os.environ.get("FUZZ"))
SPACE = Space(inputs=("Q", "K", "V"), length=(2, 8))


def program(text: str) -> Program:
    return check_expression(text)


def results(text: str, kind: str) -> set[str]:
    start = program(text)
    return {str(edit.apply(start)).strip() for edit in program_edits(SPACE, start, (kind,))}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("replace", "softmax(Q @ K.T) @ V", "logsigmoid(Q @ K.T) @ V"),
        # A comparison takes rows: the transpose that the product needed goes, and comes back.
        ("replace", "softmax(Q @ K.T) @ V", "softmax(cosine_similarity(Q, K)) @ V"),
        ("replace", "cosine_similarity(Q, K) @ V", "Q @ K.T @ V"),
        # One operand more, one fewer.
        ("replace", "cosine_similarity(Q, K) @ neg(V)", "cosine_similarity(Q, K) @ add(V, Q)"),
        ("replace", "cosine_similarity(Q, K) @ add(V, Q)", "cosine_similarity(Q, K) @ neg(Q)"),
        ("rewire", "cosine_similarity(neg(Q), K) @ V", "cosine_similarity(neg(Q), neg(Q)) @ V"),
        ("rewire", "cosine_similarity(neg(Q), K) @ V", "cosine_similarity(V, K) @ V"),
        ("insert", "Q @ K.T @ V", "softmax(Q @ K.T) @ V"),
        ("insert", "Q @ K.T @ V", "neg(Q @ K.T @ V)"),
        ("insert", "Q @ K.T @ V", "Q @ K.T @ add(V, Q)"),
        ("insert", "Q @ K.T @ V", "Q @ transpose(transpose(K)).T @ V"),
        ("insert", "Q @ K.T @ V", "Q @ K.T @ matmul(cosine_similarity(Q, K), V)"),
        ("delete", "softmax(Q @ K.T) @ V", "Q @ K.T @ V"),
        ("delete", "add(Q @ K.T @ V, V)", "Q @ K.T @ V"),
        ("delete", "Q @ transpose(transpose(K)).T @ V", "Q @ K.T @ V"),
        ("input", "Q @ K.T @ V", "Q @ K.T @ K"),
        # At one use only.
        ("input", "Q @ Q.T @ V", "K @ Q.T @ V"),
    ],
)
def test_what_each_kind_of_edit_reaches(kind, before, after):
    assert str(program(after)).strip() in results(before, kind)


def test_what_edits_do_not_reach():
    # The result neither mixes tokens, nor uses two inputs, nor stays within the length.
    assert "att: V" not in results("Q @ K.T @ V", "delete")
    assert str(program("Q @ Q.T @ Q")).strip() not in results("Q @ Q.T @ V", "input")
    long = "neg(neg(neg(neg(neg(Q @ K.T @ V)))))"
    assert results(long, "insert") == set()
    start = program(long)
    edits = list(program_edits(SPACE, start, ("replace", "rewire")))
    assert edits and all(SPACE.legal(edit.apply(start)) is None for edit in edits)


def test_edits_tell_the_position_and_the_operation_they_bring():
    start = program("softmax(Q @ K.T) @ V")
    assert [node.op.name for node in positions(start)] == ["transpose", "matmul", "softmax", "matmul"]
    edits = list(program_edits(SPACE, start))
    assert [edit.kind for edit in edits] == sorted((edit.kind for edit in edits), key=list(KINDS).index)
    replaced = {edit.op for edit in edits if edit.kind == "replace" and edit.position == 2}
    assert replaced >= {"neg", "scale", "logsigmoid", "softsign", "transpose", "add"} and "softmax" not in replaced
    inserted = [edit for edit in edits if edit.kind == "insert" and edit.op == "scale"]
    for edit in inserted:
        # An operation of one operand comes to the position that was said.
        assert positions(edit.apply(start))[edit.position].op.name == "scale"
    assert sorted(edit.position for edit in inserted) == [0, 0, 1, 2, 3, 3, 4]
    assert {edit.op for edit in edits if edit.kind in ("delete", "rewire", "input")} == {None}
    first = min(inserted, key=lambda edit: (edit.position, edit.describe()))
    assert first.describe() == "insert scale at 0: matmul(Q, transpose(K)) -> matmul(scale(Q), transpose(K))"


@pytest.mark.fuzz
def test_random_edits_always_give_a_legal_graph_that_reads_back():
    """100,000 where FUZZ is set."""
    rng = generator(1, "edits")
    space = Space(ops=Space.from_table({"ops": "all"}).ops, length=(2, 14))
    rejected: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    current = sample_program(space, rng)
    for number in range(100_000 if DEEP else 1000):
        drawn = draw_edit(space, current, rng, rejected=rejected)
        assert drawn is not None
        verify(drawn.program)
        assert space.legal(drawn.program) is None
        assert read_program(print_program(drawn.program)).root is drawn.program.root
        assert drawn.edit.apply(current).root is drawn.program.root
        back = drawn.edit.inverse(current)
        assert back.apply(drawn.program).root is current.root
        if back.kind in ("replace", "rewire", "delete"):
            assert positions(drawn.program)[back.position] in dict(back.changes)
        assert "\n" not in drawn.edit.describe() and len(drawn.edit.describe()) < 200
        kinds[drawn.edit.kind] += 1
        # From a new program now and then: edits alone stay long near the limit.
        current = drawn.program if number % 20 else sample_program(space, rng)
    assert set(kinds) == set(KINDS)
    assert rejected["too long"] and rejected["does not mix tokens"]


def test_edits_that_merge_values_are_undone():
    start = program("add(neg(scale(Q)), neg(softsign(Q))) + Q @ K.T @ V")
    merged = program("add(neg(scale(Q)), neg(scale(Q))) + Q @ K.T @ V")
    space = Space(inputs=("Q", "K", "V"), length=(2, 12))
    edits = [edit for edit in program_edits(space, start, ("replace",)) if edit.apply(start).root is merged.root]
    assert edits
    for edit in edits:
        assert edit.inverse(start).apply(merged).root is start.root


def test_an_edit_of_another_program_does_not_fit():
    start, other = program("softmax(Q @ K.T) @ V"), program("cosine_similarity(Q, K) @ V")
    edit = next(edit for edit in program_edits(SPACE, start, ("replace",)) if edit.position == 2)
    assert edit.apply(other) is None
    with pytest.raises(ValueError, match="does not fit"):
        edit.inverse(other)


def test_what_is_drawn_is_among_all_edits():
    start = program("softmax(add(Q, K) @ K.T) @ V")
    everything = {(edit.kind, edit.position, edit.op, edit.changes) for edit in program_edits(SPACE, start)}
    rng = generator(2, "drawn")
    for _ in range(300):
        edit = draw_edit(SPACE, start, rng).edit
        assert (edit.kind, edit.position, edit.op, edit.changes) in everything


def test_operations_are_drawn_by_weight_at_their_position():
    start = program("neg(Q @ K.T) @ V")
    asked = []

    def weights(position, ops):
        asked.append((position, tuple(ops)))
        return [8.0 if op == "softmax" else 1.0 for op in ops]

    rng = generator(3, "weights")
    drawn = [draw_edit(SPACE, start, rng, weights, ("replace",)) for _ in range(1500)]
    at = [one for one in drawn if one.edit.position == 2]
    ops = next(ops for position, ops in asked if position == 2)
    assert set(ops) >= {"softmax", "scale", "transpose", "add"} and "neg" not in ops
    counts = Counter(one.edit.op for one in at)
    others = sum(counts.values()) - counts["softmax"]
    # Exactly as weighted among the operations that give legal programs there.
    legal = [op for op in ops if counts[op]]
    share = 8 / (8 + len(legal) - 1)
    assert chisquare([counts["softmax"], others], [len(at) * share, len(at) * (1 - share)]).pvalue > 1e-3
    assert all(0 < one.probability <= 1 for one in drawn)
    (softmax, *_) = [one.probability for one in at if one.edit.op == "softmax" and one.probability < 1]
    assert softmax >= 8 / (8 + len(ops) - 1)
    assert draw_edit(SPACE, start, rng, weights, ("delete",)).probability is None


def test_a_program_without_legal_edits_gives_none():
    space = Space(ops=("cosine_similarity", "matmul"), inputs=("Q", "K"), length=(2, 2))
    rejected: Counter[str] = Counter()
    assert draw_edit(space, program("cosine_similarity(Q, K) @ K"), generator(0), None, ("insert",), rejected) is None
    assert set(rejected) <= {"too long", "grows faster than quadratic in N"} and rejected


# ------------------------------------------------------------ genomes


def test_children_differ_by_one_edit_and_lead_back():
    space = Space(layers=6, length=(2, 8), fixed=((0, "conv: 65"), (1, "convolution"), (2, "attention")))
    rng = generator(4, "children")
    parent = sample_genome(space, rng)
    kinds: Counter[str] = Counter()
    for _ in range(250):
        child = draw_child(space, parent, rng)
        assert space.legal_genome(child.genome) is None
        assert child.edit.apply(parent) == child.genome != parent
        assert child.edit.inverse(parent).apply(child.genome) == parent
        assert sum(a != b for a, b in zip(parent.key, child.genome.key, strict=True)) == 1
        assert child.genome.key[0] == 65 and isinstance(child.genome.key[1], int)
        assert Genome.read(child.genome.text(Sizes())) == child.genome
        kinds[child.edit.kind if isinstance(child.edit, LayerEdit) else "within"] += 1
        assert child.edit.describe().startswith(f"layer {child.edit.index + 1}: ")
        parent = child.genome
    assert set(kinds) == {"turn", "kernel", "within"}
    assert 75 < kinds["within"] < 175


def test_kernel_sizes_are_drawn_by_weight():
    space = Space(layers=1, fixed=((0, "convolution"),))
    parent = Genome.read("conv: 3\n")
    rng = generator(5, "kernels")

    def weights(layer, sizes):
        assert layer == 0 and 3 not in sizes
        return [10.0 if size == 65 else 1.0 for size in sizes]

    children = [draw_between(space, parent, rng, weights) for _ in range(400)]
    counts = Counter(child.genome.key[0] for child in children)
    assert chisquare([counts[65], 400 - counts[65]], [400 * 10 / 15, 400 * 5 / 15]).pvalue > 1e-3
    assert {round(child.probability, 6) for child in children} == {round(10 / 15, 6), round(1 / 15, 6)}


def test_where_nothing_may_change_there_is_no_child():
    space = Space(layers=1, fixed=((0, "conv: 3"),))
    assert draw_child(space, Genome.read("conv: 3\n"), generator(0)) is None
    only = Space(layers=1, kernels=(7,), fixed=((0, "convolution"),))
    assert draw_between(only, Genome.read("conv: 7\n"), generator(0)) is None
    assert draw_within(only, Genome.read("conv: 7\n"), generator(0)) is None


def test_layer_edits_fit_the_layer_they_were_made_for():
    genome = Genome.read("conv: 3\natt: softmax(Q @ K.T)\n")
    edit = LayerEdit("kernel", 0, genome.layers[0], Genome.read("conv: 9\n").layers[0])
    assert edit.describe() == "layer 1: kernel: conv: 3 -> conv: 9"
    assert edit.apply(edit.apply(genome)) is None
    assert edit.apply(Genome(())) is None
    layer = genome.layers[1]
    assert isinstance(layer, AttentionLayer)
    inside = next(program_edits(SPACE, layer.program))
    assert InLayer(1, inside).apply(genome) is not None
    assert InLayer(0, inside).apply(genome) is None
    with pytest.raises(ValueError, match="does not fit"):
        InLayer(0, inside).inverse(genome)


def test_crossover_takes_whole_layers():
    a = Genome.read("conv: 3\nconv: 5\nconv: 7\nconv: 9\n")
    b = Genome.read("conv: 31\nconv: 31\nconv: 7\nconv: 31\n")
    one = Crossover(b, (0, 1, 3))
    assert one.apply(a).key == (31, 31, 7, 31)
    assert one.describe() == "layers 1-2, 4 from the second parent"
    rng = generator(6)
    for _ in range(30):
        drawn = draw_crossover(a, b, rng)
        child = drawn.apply(a)
        assert child not in (a, b) and child.key[2] == 7
        assert drawn.inverse(a).apply(child) == a
    assert draw_crossover(a, a, rng) is None
    assert draw_crossover(a, Genome(a.layers[:2]), rng) is None and Crossover(b, (0,)).apply(Genome(())) is None
