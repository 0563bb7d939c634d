"""The canonical form: one graph for every way of writing the same thing, with the same value."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from numerics import forward_magnitudes, oracle
from strategies import fuzz, programs

from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.reference import evaluate_all
from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import Program, count_uses, make_node, post_order, print_program, verify
from autobertc.dsl.ops import Factor, Transpose


def canonical(text: str) -> str:
    return print_program(canonicalise(check_expression(text)))


SAME = [
    # factors
    ("neg(neg(softmax(Q @ K.T) @ V))", "softmax(Q @ K.T) @ V"),
    ("scale(neg(Q)) @ K.T @ V", "Q @ neg(scale(K)).T @ V"),
    ("scale(softmax(Q @ K.T)) @ V", "softmax(Q @ K.T) @ scale(V)"),
    ("add(neg(Q), neg(K))", "neg(K + Q)"),
    ("add(neg(Q), K)", "neg(add(neg(K), Q))"),
    ("add(scale(Q), scale(scale(K)))", "scale(add(Q, scale(K)))"),
    ("mul(neg(Q), scale(K))", "neg(scale(mul(K, Q)))"),
    ("softsign(neg(Q))", "neg(softsign(Q))"),
    ("square(neg(Q))", "square(Q)"),
    # transposes
    ("transpose(softmax(transpose(Q).T.T))", "transpose(softmax(transpose(Q)))"),
    ("transpose(logsigmoid(K).T)", "logsigmoid(K)"),
    ("(Q @ logsigmoid(K.T)) @ V", "Q @ logsigmoid(K).T @ V"),
    ("softmax(transpose(K @ Q.T)) @ V", "softmax(Q @ K.T) @ V"),
    ("transpose(V.T @ transpose(softmax(Q @ K.T)))", "softmax(Q @ K.T) @ V"),
    ("transpose(Q @ Q.T) @ V", "Q @ Q.T @ V"),
    ("transpose(tanh(Q @ Q.T)) @ V", "tanh(Q @ Q.T) @ V"),
    ("transpose(euclidean_distance(Q, K)) @ V", "euclidean_distance(K, Q) @ V"),
    # sums and products
    ("Q + (K + V)", "(V + Q) + K"),
    ("(Q @ K.T) @ V", "Q @ (K.T @ V)"),
    ("softmax(Q @ K.T) @ softmax(V @ P.T) @ V", "softmax(Q @ K.T) @ (softmax(V @ P.T) @ V)"),
    ("mul(Q, K)", "mul(K, Q)"),
    # a cosine is a product of unit rows
    ("cosine_similarity(Q, K) @ V", "transpose(cosine_similarity(K, Q)) @ V"),
    ("cosine_similarity(neg(Q), K) @ V", "neg(cosine_similarity(Q, K)) @ V"),
]

DIFFERENT = [
    ("Q @ K.T @ V", "Q @ V.T @ K"),
    ("scale(Q)", "Q"),
    ("softmax(scale(Q @ K.T)) @ V", "softmax(Q @ K.T) @ V"),
    ("softmax(transpose(Q @ K.T)) @ V", "softmax(Q @ K.T) @ V"),
    ("transpose(softmax(Q @ K.T)) @ V", "softmax(Q @ K.T) @ V"),
    ("logsigmoid(neg(Q))", "neg(logsigmoid(Q))"),
    # At the clamp of the norm a constant would change the value.
    ("cosine_similarity(scale(Q), K) @ V", "cosine_similarity(Q, K) @ V"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_form(left, right):
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_not_one_form(left, right):
    assert canonical(left) != canonical(right)


def test_the_printed_form():
    assert canonical("softmax(scale(Q @ neg(logsigmoid(neg(K)).T))) @ (K + Q)") == (
        "att: matmul(softmax(neg(scale(matmul(Q, transpose(logsigmoid(neg(K))))))), add(Q, K))\n"
    )
    assert canonical("Q @ K.T @ V + P") == "att: add(P, matmul(Q, transpose(K), V))\n"


@pytest.mark.parametrize("op", ["add", "matmul"])
def test_doubling_stays_linear(op):
    node = (
        make_node("Q") if op == "add" else make_node("matmul", make_node("Q"), make_node("transpose", make_node("K")))
    )
    for _ in range(64):
        node = make_node(op, node, node)
    root = node if op == "add" else make_node("matmul", node, make_node("V"))
    start = time.perf_counter()
    program = canonicalise(Program(root))
    assert time.perf_counter() - start < 5
    assert sum(1 for _ in program.nodes()) < 80


@pytest.mark.parametrize("op", ["add", "matmul"])
def test_long_chains_stay_near_linear(op):
    names = ["Q", "K", "V", "P"]
    if op == "add":
        node = make_node("Q")
        for index in range(20_000):
            node = make_node("add", node, make_node("neg", make_node(names[index % 4])))
    else:
        node = make_node("V")
        for index in range(10_000):
            key = make_node("transpose", make_node(names[index % 4]))
            node = make_node("matmul", make_node("matmul", make_node("Q"), key), node)
    start = time.perf_counter()
    verify(canonicalise(Program(node)))
    assert time.perf_counter() - start < 20


@fuzz(500)
@given(programs())
def test_the_form_is_a_fixpoint_with_every_value_in_one_orientation(program):
    form = canonicalise(program)
    verify(form)
    assert canonicalise(form).root is form.root
    for node in form.nodes():
        if isinstance(node.op, Transpose):
            assert not isinstance(node.operands[0].op, Transpose | Factor)
        if isinstance(node.op, Factor):
            assert not (node.op.sign > 0 and isinstance(node.operands[0].op, Factor) and node.operands[0].op.sign < 0)
    assert {node.op.name for node in form.nodes()} <= {node.op.name for node in program.nodes()} | {
        "matmul",
        "unit",
        "transpose",
        "neg",
        "scale",
    }


@fuzz(500)
@given(programs())
def test_the_form_has_the_value_of_the_program(program):
    # Beside float64 in extended precision, where both forms are exact for this purpose.
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal((5, 16)) for name in program.inputs}
    wide = {name: value.astype(np.longdouble) for name, value in inputs.items()}
    exact = evaluate_all(program, wide)[program.root]
    form = canonicalise(program)
    found = evaluate_all(form, inputs)[form.root]
    plain = evaluate_all(program, inputs)[program.root]
    if not np.isfinite(plain).all():
        return
    values = oracle(program, {name: torch.from_numpy(value) for name, value in inputs.items()})
    eps = float(np.finfo(np.float64).eps)
    size = float(forward_magnitudes(program, values, 16, eps)[program.root].amax())
    budget = 2 * (np.abs(plain - exact).max() + eps * size)
    assert np.abs(found - exact).max() <= budget


def test_sharing_is_kept():
    weights = "softmax(Q @ K.T)"
    form = canonicalise(check_expression(f"logsigmoid({weights}) @ ({weights} @ V)"))
    (softmax,) = [node for node in post_order(form.root) if node.op.name == "softmax"]
    assert count_uses(form.root)[softmax] == 2
