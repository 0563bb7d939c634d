"""The order of products: cheapest for the sizes given."""

from functools import cache
from itertools import product

import pytest
from hypothesis import given
from strategies import fuzz, programs

from autobertc.compiler.associate import associate, product_order
from autobertc.compiler.canonical import canonicalise
from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import Program, print_program, verify
from autobertc.dsl.types import DN, NN


def cost_of(weights):
    """What the chosen order costs, with every matrix used once and in its place."""
    stack, cost = [], 0
    for item in product_order(weights):
        if item is None:
            (_, right), (left, inner) = stack.pop(), stack.pop()
            cost += weights[left] * weights[inner] * weights[right]
            stack.append((left, right))
        else:
            assert not stack or stack[-1][1] == item
            stack.append((item, item + 1))
    assert stack == [(0, len(weights) - 1)]
    return cost


def least_cost(weights):
    """Matrix chain multiplication by dynamic programming (Cormen et al., section 14.2)."""

    @cache
    def cost(first, last):
        if last - first < 2:
            return 0
        return min(
            cost(first, split) + cost(split, last) + weights[first] * weights[split] * weights[last]
            for split in range(first + 1, last)
        )

    return cost(0, len(weights) - 1)


@pytest.mark.parametrize("small, large", [(1, 2), (2, 3), (64, 512), (64, 65)])
def test_the_order_is_optimal_for_two_sizes(small, large):
    for count in range(2, 10):
        for weights in product((small, large), repeat=count):
            assert cost_of(weights) == least_cost(weights), weights


def planned(text: str, length: int = 512) -> str:
    return print_program(associate(canonicalise(check_expression(text)), length, 64))


def test_products_meet_in_the_cheapest_order():
    assert planned("(Q @ K.T) @ V") == "att: matmul(Q, matmul(transpose(K), V))\n"
    assert planned("(Q @ K.T) @ V", length=16) == "att: matmul(matmul(Q, transpose(K)), V)\n"
    assert planned("softmax(Q @ K.T) @ softmax(V @ P.T) @ V") == (
        "att: matmul(softmax(matmul(Q, transpose(K))), matmul(softmax(matmul(V, transpose(P))), V))\n"
    )


LINEAR = [
    "(Q @ K.T) @ V",
    "scale(neg(Q @ softsign(K).T)) @ V",
    "(Q @ K.T + neg(V @ P.T)) @ V",
    "transpose(Q @ K.T + scale(V @ P.T)) @ V",
    "cosine_similarity(Q, K) @ V",
    "(Q @ K.T) @ (V @ P.T) @ V",
    "(Q @ K.T) @ (V @ P.T + K @ K.T) @ V",
    "(Q @ K.T) @ transpose(Q @ K.T) @ V",
]


@pytest.mark.parametrize("text", LINEAR)
def test_linear_programs_have_no_map(text):
    program = associate(canonicalise(check_expression(text)), 512, 64)
    verify(program)
    assert all(node.type != NN for node in program.nodes())


@fuzz(300)
@given(programs())
def test_every_product_is_binary_and_none_is_stored_transposed(program):
    done = associate(canonicalise(program), 512, 64)
    verify(done)
    assert all(len(node.operands) == 2 for node in done.nodes() if node.op.name == "matmul")
    assert all(node.type != DN for node in done.nodes() if node.op.name == "matmul")
    again = Program(associate(done, 512, 64).root)
    assert again.root is done.root or sum(1 for _ in again.nodes()) <= sum(1 for _ in done.nodes())
