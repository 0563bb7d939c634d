"""The graph: sharing, typing, printing and reading back."""

import subprocess
import sys

import pytest
from hypothesis import given
from strategies import fuzz, programs, roots

from autobertc.compiler.canonical import canonicalise
from autobertc.dsl import parse
from autobertc.dsl.architecture import Architecture, AttentionLayer, Sizes, print_architecture
from autobertc.dsl.checker import check_expression, read_program
from autobertc.dsl.graph import (
    InvalidGraph,
    Node,
    Program,
    apply_to_value,
    count_uses,
    make_node,
    post_order,
    print_program,
    verify,
)
from autobertc.dsl.ops import lookup
from autobertc.dsl.types import NN, TypeRuleError


def test_equal_expressions_are_one_node():
    left = make_node("matmul", make_node("Q"), make_node("transpose", make_node("K")))
    right = make_node("matmul", make_node("Q"), make_node("transpose", make_node("K")))
    assert left is right
    assert left is not make_node("matmul", make_node("K"), make_node("transpose", make_node("K")))


def test_nodes_are_frozen():
    with pytest.raises(AttributeError, match="frozen"):
        make_node("Q").type = NN


def test_a_broken_rule_names_the_operands():
    with pytest.raises(TypeRuleError, match=r"matmul expects \[a,b\] and \[b,c\], found \[N,D\] and \[N,D\]"):
        make_node("matmul", make_node("Q"), make_node("K"))
    with pytest.raises(ValueError, match="neg takes 1 operands, found 2"):
        make_node("neg", make_node("Q"), make_node("K"))
    with pytest.raises(KeyError):
        make_node("no_such_op", make_node("Q"))


def test_post_order_goes_left_first_and_visits_a_shared_node_once():
    shared = make_node("neg", make_node("K"))
    root = make_node("add", shared, make_node("add", make_node("Q"), shared))
    assert [node.op.name for node in post_order(root)] == ["K", "neg", "Q", "add", "add"]
    assert count_uses(root)[shared] == 2


def test_the_verifier_refuses_what_no_pass_may_make():
    verify(check_expression("softmax(Q @ K.T)"))
    with pytest.raises(InvalidGraph, match=r"root has type \[N,N\]"):
        verify(Program(make_node("matmul", make_node("Q"), make_node("transpose", make_node("K")))))
    query = make_node("Q")
    forged = Node(lookup("neg"), (query,), query.type)
    with pytest.raises(InvalidGraph, match="not the shared node"):
        verify(Program(forged))


def test_digests_do_not_depend_on_the_process():
    code = (
        "from autobertc.dsl.checker import check_expression;"
        "from autobertc.compiler.keys import keys;"
        "print(keys(check_expression('softmax(scale(Q @ K.T)) @ add(V, P)')))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@fuzz(300)
@given(programs())
def test_text_and_graph_round_trip(program):
    verify(program)
    assert read_program(print_program(program)).root is program.root
    canonical = canonicalise(program)
    verify(canonical)
    assert read_program(print_program(canonical)).root is canonical.root


@fuzz(100)
@given(roots(), roots())
def test_an_architecture_prints_to_a_file_of_the_same_meaning(first, second):
    layers = [AttentionLayer(Program(apply_to_value(root))) for root in (first, second, first)]
    architecture = Architecture("a", Sizes(), tuple(layers))
    again = parse(print_architecture(architecture))
    assert [layer.program.root for layer in again.layers] == [layer.program.root for layer in layers]
    assert again.digest() == architecture.digest()


@fuzz(100)
@given(roots())
def test_a_map_is_applied_to_the_value(root):
    if root.type == NN:
        from autobertc.dsl.graph import _expression

        text = _expression(root, {})
        assert check_expression(text).root is check_expression(f"matmul({text}, V)").root
