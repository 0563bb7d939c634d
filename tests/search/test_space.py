"""Spaces: what they hold, their tables, and what is said of those that hold nothing."""

from __future__ import annotations

import pickle
import tomllib

import pytest
from edit_paths import all_programs

from autobertc.dsl import load
from autobertc.dsl.checker import check_expression
from autobertc.dsl.errors import UserError
from autobertc.dsl.graph import Program
from autobertc.dsl.ops import Elementwise, primitives, registered
from autobertc.search.genome import Genome
from autobertc.search.space import PROGRAM, Space
from autobertc.search.space_size import magnitude


def test_the_default_space_holds_the_published_architectures(examples):
    space = Space()
    for path in sorted(examples.glob("autobert-zero*.abz")):
        genome = Genome(load(path).layers)
        if len(genome) == 12:
            assert space.legal_genome(genome) is None, path
        assert all(space.legal(program) is None for _, program in genome.programs())


@pytest.mark.parametrize(
    ("settings", "expression", "reason"),
    [
        ({}, "softmax(Q @ K.T) @ V", None),
        ({}, "softmax(add(Q, K))", "does not mix tokens"),
        ({}, "softmax(Q @ Q.T) @ Q", "uses too few inputs"),
        ({"least_inputs": 1}, "softmax(Q @ Q.T) @ Q", None),
        ({"inputs": ("Q", "K")}, "softmax(Q @ K.T) @ V", "uses an input outside the space"),
        ({}, "relu(Q @ K.T) @ V", "uses an op outside the space"),
        ({"length": (2, 3)}, "softmax(Q @ K.T) @ V", "too long"),
        ({"length": (5, 9)}, "softmax(Q @ K.T) @ V", "too short"),
        ({}, "softmax(softmax(Q @ K.T) @ softmax(K @ Q.T)) @ V", "grows faster than quadratic in N"),
        ({}, "softmax(Q @ K.T) @ softmax(K @ Q.T) @ V", None),
        ({"growth": "linear"}, "softmax(Q @ K.T) @ V", "grows faster than linear in N"),
        ({"growth": "linear"}, "Q @ K.T @ V", None),
        ({"growth": "cubic"}, "softmax(softmax(Q @ K.T) @ softmax(K @ Q.T)) @ V", None),
    ],
)
def test_legal_programs(settings, expression, reason):
    assert Space(**settings).legal(check_expression(expression)) == reason


def test_shared_values_count_once():
    shared = check_expression("matmul(softmax(Q @ K.T), add(softmax(Q @ K.T) @ V, V))")
    assert Space(length=(2, 6)).legal(shared) is None
    assert Space(length=(2, 5)).legal(shared) == "too long"


def test_genomes_are_legal_layer_by_layer():
    space = Space(layers=2, kernels=(3, 7), fixed=((0, "convolution"),))
    attention = "att: softmax(Q @ K.T) @ V\n"
    assert space.legal_genome(Genome.read("conv: 3\n" + attention)) is None
    assert space.legal_genome(Genome.read("conv: 3\n")) == "has another number of layers"
    assert space.legal_genome(Genome.read(attention * 2)) == "changes the kind of a fixed layer"
    assert space.legal_genome(Genome.read("conv: 5\n" + attention)) == "uses a kernel size outside the space"
    whole = Space(layers=2, fixed=((1, "att: softmax(Q @ Q.T)"),))
    # A fixed layer may be what the space could not make.
    assert whole.legal_genome(Genome.read("conv: 3\natt: softmax(Q @ Q.T) @ V\n")) is None
    assert whole.legal_genome(Genome.read("conv: 3\n" + attention)) == "changes a fixed layer"


TABLE = """
ops = ["matmul", "transpose", "softmax", "add"]
inputs = 3
least_inputs = 1
length = [3, 6]
layers = 4
kernels = [3, 65]
growth = "linear"
[fixed]
1 = "conv: 65"
4 = "attention"
"""


def test_tables_read_and_read_back():
    space = Space.from_table(tomllib.loads(TABLE))
    assert space.inputs == ("Q", "K", "V")
    assert space.fixed == ((0, "conv: 65"), (3, "attention"))
    assert space.kinds(0) == ("convolution",) and space.is_settled(0)
    assert space.kinds(3) == ("attention",) and not space.is_settled(3)
    assert space.kinds(1) == ("attention", "convolution")
    again = Space.from_table(space.to_table())
    assert again == space and hash(again) == hash(space) and Space() != space
    assert Space.from_table({}) == Space()
    assert Space.from_table({"ops": "all"}).ops == tuple(op.name for op in primitives())
    assert Space.from_table({"ops": "paper", "length": 5}).length == (5, 5)


def test_a_used_space_can_be_pickled():
    space = Space(layers=2, fixed=((0, "att: softmax(Q @ K.T)"),))
    space.size()
    assert space.is_settled(0)
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kernel": [3]}, r"space\.kernel: unknown key; did you mean `kernels`\?"),
        ({"zzz": 1}, r"space\.zzz: unknown key; known: ops, inputs"),
        ({"ops": ["matmull"]}, r"space\.ops: there is no operation `matmull`; did you mean `matmul`\?"),
        ({"ops": "second"}, r'space\.ops: give "paper", "all" or a list'),
        ({"ops": []}, r"space\.ops: name at least one"),
        ({"ops": ["add", "add"]}, r"space\.ops: .* twice"),
        ({"ops": ["neg", "add"]}, r"space\.ops: no program .* add `transpose` and `softmax`"),
        ({"inputs": ["Q", "X"]}, r"space\.inputs: there is no input `X`"),
        ({"inputs": 5}, r"space\.inputs: give 2 to 4"),
        ({"inputs": ["Q"]}, r"space\.inputs: a program needs 2 to 4"),
        ({"least_inputs": 5}, r"space\.least_inputs: a program can use 1 to 4"),
        ({"length": [4, 3]}, r"space\.length: give \[fewest, most\]"),
        ({"length": [1, 2, 3]}, r"space\.length: give \[fewest, most\]"),
        ({"length": "long"}, r"space\.length: give a list, found 'long'"),
        ({"length": [1, 1]}, r"space\.length: .* the shortest has 2 operations"),
        ({"length": [1, 2], "least_inputs": 4}, r"space\.length: .* uses 4 inputs .* the shortest has 3 operations"),
        ({"layers": 0}, r"space\.layers: give 1 to"),
        ({"layers": True}, r"space\.layers: give a whole number, found True"),
        ({"kernels": [4]}, r"space\.kernels: 4 is no kernel size; they are 3, 5"),
        ({"growth": "quadratc"}, r"space\.growth: .* did you mean `quadratic`\?"),
        ({"growth": 2}, r"space\.growth: give a text"),
        ({"fixed": ["conv: 3"]}, r"space\.fixed: give a table"),
        ({"fixed": {"13": "conv: 3"}}, r"space\.fixed\.13: there is no layer 13; layers are numbered from 1 to 12"),
        ({"fixed": {"first": "conv: 3"}}, r"space\.fixed\.first: give the number of a layer"),
        ({"fixed": {"1": "conv: 4"}}, r"space\.fixed\.1: say .*\n.*a kernel size is one of"),
        ({"fixed": {"1": "conv: 3\nconv: 5"}}, r"space\.fixed\.1: give one layer, found more than one"),
        ({"fixed": {"1": "convolution"}, "kernels": []}, r"space\.fixed\.1: a convolution needs a kernel size"),
        (
            {"growth": "linear", "ops": ["euclidean_distance", "matmul"]},
            r"space\.growth: no program .* grows no faster than linear",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_message(table, message):
    with pytest.raises(UserError, match=message):
        Space.from_table(table)


def test_the_size_counts_expressions_one_by_one():
    """Against an enumeration of all programs, those that share no value apart."""
    space = Space(inputs=("Q", "K", "V"), least_inputs=2, length=(1, 3), layers=2, growth="cubic", kernels=(3, 5))

    def written(node):
        return bool(node.operands) + sum(written(operand) for operand in node.operands)

    by_length: dict[int, int] = {1: 0, 2: 0, 3: 0}
    for root in all_programs(space, 3):
        if written(root) <= 3:
            by_length[written(root)] += 1
    size = space.size()
    assert size.by_length == by_length
    assert size.programs == size.programs_least == sum(by_length.values())
    assert size.genomes == (size.programs + 2) ** 2
    limited = Space(inputs=("Q", "K", "V"), least_inputs=2, length=(1, 4)).size()
    assert 0 < limited.programs_least < limited.programs


def test_the_size_is_printed_in_powers_of_ten():
    assert "programs of 2 to 12 operations (at least " in str(Space().size())
    assert [magnitude(number) for number in (54, 123456, 10**9, 25 * 10**399)] == ["54", "123,456", "1.0e9", "2.5e400"]


def test_a_settled_layer_does_not_multiply_the_size():
    free = Space(layers=1).size()
    settled = Space(layers=2, fixed=((0, "conv: 3"),)).size()
    assert free.genomes == settled.genomes


def test_primitives_registered_by_users_can_be_searched():
    cube = Elementwise(name="cubed", formula="x^3", numpy=lambda np, x: x**3, torch="{0} ** 3")
    with registered(cube):
        space = Space(ops=("matmul", "cubed", "cosine_similarity"))
        assert space.legal(check_expression("cubed(matmul(cosine_similarity(Q, K), V))")) is None
        assert space.tables.count(PROGRAM, 3) > space.tables.count(PROGRAM, 2) > 0


def test_programs_of_the_space_are_asked_about_once():
    space = Space()
    program = check_expression("softmax(softmax(Q @ K.T) @ softmax(K @ Q.T)) @ V")
    assert space.legal(program) is space.legal(Program(program.root))
