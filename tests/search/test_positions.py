"""Positions: post-order, sharing once, sums by digest."""

import pytest

from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import Program, make_node
from autobertc.search.positions import positions, traverse
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_program
from autobertc.search.space import Space


def names(program: Program) -> list[str]:
    return [node.op.name for node in positions(program)]


def test_left_operand_first():
    program = check_expression("matmul(softmax(scale(Q @ K.T)), logsigmoid(V))")
    assert names(program) == ["transpose", "matmul", "scale", "softmax", "logsigmoid", "matmul"]


def test_a_shared_value_stands_at_its_first_visit():
    program = check_expression("matmul(softmax(Q @ K.T), softmax(Q @ K.T) @ V)")
    assert names(program) == ["transpose", "matmul", "softmax", "matmul", "matmul"]


def test_operands_of_sums_stand_in_the_order_of_their_digests():
    left, right = make_node("neg", make_node("Q")), make_node("scale", make_node("K"))
    first, second = sorted((left, right), key=lambda node: node.digest)
    for operands in ((left, right), (right, left)):
        root = make_node("add", *operands)
        assert list(traverse(root).order) == [first, second, root]
    # A product keeps its order.
    maps = make_node("matmul", make_node("neg", make_node("Q")), make_node("transpose", make_node("K")))
    assert [node.op.name for node in traverse(maps).order] == ["neg", "transpose", "matmul"]


def test_an_input_alone_has_no_positions():
    assert traverse(make_node("Q")).order == ()


@pytest.mark.parametrize("seed", range(30))
def test_an_operation_put_on_an_operand_takes_the_position_foretold(seed):
    """Where no sum changes its order for it."""
    program = sample_program(Space(ops=("neg", "softmax", "matmul", "transpose", "cosine_similarity")), generator(seed))
    here = traverse(program.root)
    order, index, after = here.order, here.positions, here.after
    assert [index[node] for node in order] == list(range(len(order)))
    for (node, place), position in after.items():
        new = make_node("tanh", node.operands[place])
        operands = [new if other == place else operand for other, operand in enumerate(node.operands)]
        edited = make_node(node.op, *operands)
        found = traverse(_exchanged(program.root, node, edited))
        if new not in index:
            assert found.positions[new] == position


def _exchanged(root, before, after):
    if root is before:
        return after
    return make_node(root.op, *(_exchanged(operand, before, after) for operand in root.operands))
