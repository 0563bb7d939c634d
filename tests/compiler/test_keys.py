"""Keys: by structure, by function, and by function up to the names of inputs."""

from itertools import permutations

import pytest
from hypothesis import given
from strategies import fuzz, programs

from autobertc.compiler.keys import keys, same_function
from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import Program, fold, make_node
from autobertc.dsl.ops import Input

SAME_FUNCTION = [
    ("relu(Q) + neg(relu(neg(Q)))", "Q"),
    ("Q + Q", "add(add(Q, Q), add(K, neg(K)))"),
    ("logsigmoid(Q) + neg(logsigmoid(neg(Q)))", "Q"),
    ("exp(logsigmoid(Q @ K.T)) @ V", "sigmoid(Q @ K.T) @ V"),
    ("Q @ (K + V).T @ P", "Q @ K.T @ P + Q @ V.T @ P"),
]


@pytest.mark.parametrize(("left", "right"), SAME_FUNCTION)
def test_one_function_two_structures(left, right):
    a, b = check_expression(left), check_expression(right)
    assert keys(a).structural != keys(b).structural
    assert keys(a).functional == keys(b).functional
    assert same_function(a, b)


@pytest.mark.parametrize("other", ["scale(Q @ K.T) @ V", "Q @ K.T @ P", "neg(Q @ K.T) @ V", "softmax(Q @ K.T) @ V"])
def test_other_functions_have_other_keys(other):
    program, another = check_expression("Q @ K.T @ V"), check_expression(other)
    assert keys(program).functional != keys(another).functional
    assert not same_function(program, another)


def test_inputs_are_interchangeable_up_to_the_relabelled_key():
    expected = keys(check_expression("softmax(Q @ K.T) @ V"))
    for q, k, v in permutations("QKVP", 3):
        program = check_expression(f"softmax({q} @ {k}.T) @ {v}")
        assert keys(program).relabelled == expected.relabelled
        assert same_function(check_expression("softmax(Q @ K.T) @ V"), program, relabelled=True)
        assert (keys(program).functional == expected.functional) == ((q, k, v) == ("Q", "K", "V"))
    assert keys(check_expression("softmax(Q @ K.T) @ Q")).relabelled != expected.relabelled


def test_no_functional_key_without_finite_values():
    program = check_expression("exp(exp(exp(exp(square(square(square(Q)))))))")
    assert keys(program).functional is None
    assert keys(program).relabelled is None
    assert not same_function(program, program)


@fuzz(200)
@given(programs(max_ops=12))
def test_relabelling_keeps_the_key(program):
    swap = {"Q": "P", "P": "Q", "K": "V", "V": "K"}
    renamed = fold(
        [program.root],
        lambda node, operands: (
            make_node(swap[node.op.name]) if isinstance(node.op, Input) else make_node(node.op, *operands)
        ),
    )[program.root]
    assert keys(Program(renamed)).relabelled == keys(program).relabelled
