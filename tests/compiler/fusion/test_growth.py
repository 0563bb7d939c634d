"""Growth in N told without a plan is that of the plan."""

import pytest
from hypothesis import given
from strategies import fuzz, programs

from autobertc.compiler.fusion.accounting import growth
from autobertc.compiler.fusion.growth import growth_of, is_cubic
from autobertc.compiler.fusion.joint import plan_program
from autobertc.dsl.checker import check_expression

CASES = [
    ("Q @ K.T @ V", "linear"),
    ("transpose(softmax(transpose(Q))) + K", "linear"),
    ("softmax(Q @ K.T) @ V", "quadratic"),
    ("softmax(Q @ K.T) @ softmax(K @ Q.T) @ V", "quadratic"),
    ("softmax(softmax(Q @ K.T) @ softmax(K @ Q.T)) @ V", "cubic"),
    ("softmax(softmax(Q @ K.T) @ (K @ Q.T)) @ V", "quadratic"),
    ("(softmax(Q @ K.T) @ softmax(K @ Q.T) + softmax(V @ Q.T)) @ V", "quadratic"),
    ("cosine_similarity(softmax(Q @ K.T), softmax(Q @ V.T)) @ V", "quadratic"),
    ("softmax(cosine_similarity(softmax(Q @ K.T), softmax(Q @ V.T))) @ V", "cubic"),
    ("euclidean_distance(softmax(Q @ K.T), softmax(Q @ V.T)) @ V", "cubic"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_growth(text, expected):
    program = check_expression(text)
    joint = plan_program(program)
    assert growth_of(program) == expected == growth(joint.forward, joint.backward)
    assert is_cubic(program) == (expected == "cubic")


@fuzz(150)
@given(programs(max_ops=14))
def test_growth_is_that_of_the_plan(program):
    joint = plan_program(program)
    found = growth_of(program)
    # A program that is an input as it stands has nothing to compute: constant.
    assert found == growth(joint.forward, joint.backward).replace("constant", "linear")
    assert is_cubic(program) == (found == "cubic")
