"""The checker: names, types, ranges; every error at its place."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import fuzz

from autobertc.dsl import AbzError, parse
from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer, print_architecture
from autobertc.dsl.checker import check, check_expression
from autobertc.dsl.ops import primitives
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source

ERRORS = Path(__file__).parents[1] / "errors"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(ERRORS.glob("check-*.abz")), ids=lambda path: path.stem)
def test_the_whole_message(path):
    golden = path.with_suffix(".txt")
    with pytest.raises(AbzError) as caught:
        check(parse_tree(Source(path.name, path.read_text())))
    text = str(caught.value) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def diagnostics(text: str) -> list[str]:
    checked = check(parse_tree(Source("a.abz", text)))
    return [f"{found.severity}: {found.message}" for found in checked.diagnostics]


def test_a_map_alone_earns_a_note_and_an_unused_let_and_no_mixing_a_warning():
    assert diagnostics("att: softmax(Q @ K.T)")[0].startswith("note: an expression of type [N,N]")
    assert diagnostics("let a = Q\natt: Q @ K.T @ V") == ["warning: `a` is never used"]
    assert diagnostics("att: neg(Q)")[0].startswith("warning: this layer does not mix tokens")
    assert diagnostics("att: softmax(Q)")[0].startswith("warning: this layer does not mix tokens")
    assert diagnostics("att: transpose(softmax(transpose(Q)))") == []


def test_layers_repeat_and_lets_expand():
    architecture = parse("let s = Q @ K.T\nrepeat 2 { repeat 3 { conv: 5 } att: softmax(s) @ V }")
    kinds = ["conv" if isinstance(layer, ConvolutionLayer) else "att" for layer in architecture.layers]
    assert kinds == ["conv", "conv", "conv", "att"] * 2
    assert len(list(architecture.programs())) == 1


def test_defaults_of_the_header():
    base = parse("conv: 3").sizes
    assert (base.hidden, base.heads, base.intermediate, base.vocab, base.max_length) == (768, 12, 3072, 30522, 512)
    assert (base.embedding, base.hidden_dropout, base.head_dim) == (None, 0.1, 64)
    for hidden, heads in ((256, 4), (768, 12), (1024, 16)):
        sizes = parse(f"model m {{ hidden: {hidden} }} \nconv: 3").sizes
        assert (sizes.heads, sizes.intermediate) == (heads, 4 * hidden)
    sizes = parse("model m { dropout: 0.3 attention_dropout: 0 }\nconv: 3").sizes
    assert (sizes.hidden_dropout, sizes.attention_dropout, sizes.kernel_dropout) == (0.3, 0.0, 0.3)


def test_ten_thousand_layers_and_no_more():
    assert len(parse("repeat 10 { repeat 1000 { conv: 3 } }").layers) == 10_000
    with pytest.raises(AbzError, match="more than 10,000 layers"):
        parse("conv: 3\nrepeat 10 { repeat 1000 { conv: 3 } }")


def test_long_runs_print_as_repeats():
    text = print_architecture(parse("repeat 1024 { conv: 3 }\nrepeat 3 { conv: 3 }\nconv: 5"))
    assert text.endswith("repeat 1024 {\n  conv: 3\n}\nrepeat 3 {\n  conv: 3\n}\nconv: 5\n")
    assert len(parse(text).layers) == 1028


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.abz")), ids=lambda path: path.stem)
def test_examples_print_to_the_same_meaning(path):
    architecture = parse(path.read_text())
    assert parse(print_architecture(architecture)).digest() == architecture.digest()
    assert any(isinstance(layer, AttentionLayer | ConvolutionLayer) for layer in architecture.layers)


# ---------------------------------------------------------------- illegal programs, beside rules of the test's own

PAIRED = {"add", "mul"}
COMPARED = {"cosine_similarity", "euclidean_distance"}
ARITY = {op.name: op.arity for op in primitives()}


def type_of(name: str, operands: list[str]) -> str | None:
    """The type of a call as two letters, or None where the rules forbid it."""
    if len(operands) != ARITY[name]:
        return None
    if name == "transpose":
        return operands[0][::-1]
    if name in PAIRED:
        return operands[0] if operands[0] == operands[1] else None
    if name == "matmul":
        return operands[0][0] + operands[1][1] if operands[0][1] == operands[1][0] else None
    if name in COMPARED:
        return operands[0][0] + operands[1][0] if operands[0][1] == operands[1][1] else None
    return operands[0]


@st.composite
def expressions(draw, start: int = 5, depth: int = 4):
    """(text, type or None, guilty spans): any call of any operands, right or wrong; offsets count from `start`."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["Q", "K", "V", "P", "R", "neg"]))
        known = name in "QKVP"
        return name, "ND" if known else None, [] if known else [(start, start + len(name))]
    name = draw(st.sampled_from([*ARITY, "softmaxx"]))
    text, types, guilty = name + "(", [], []
    for index in range(draw(st.sampled_from([1, 2, 2, 2, 3]))):
        if index:
            text += ", "
        inner, inner_type, inner_guilty = draw(expressions(start + len(text), depth - 1))
        text += inner
        types.append(inner_type)
        guilty += inner_guilty
    text += ")"
    if name not in ARITY:
        return text, None, [*guilty, (start, start + len(name))]
    if len(types) != ARITY[name]:
        return text, None, [*guilty, (start, start + len(text))]
    if None in types:
        return text, None, guilty
    result = type_of(name, types)
    return text, result, guilty if result else [*guilty, (start, start + len(text))]


@fuzz(500)
@given(expressions())
def test_the_guilty_expressions_and_no_others(case):
    text, found_type, guilty = case
    if found_type in ("DN", "DD"):
        guilty = [(5, 5 + len(text))]
    source = Source("a.abz", f"att: {text}")
    if not guilty:
        check(parse_tree(source))
        return
    with pytest.raises(AbzError) as caught:
        check(parse_tree(source))
    assert sorted((found.span.start, found.span.end) for found in caught.value.diagnostics) == sorted(guilty)
    assert str(caught.value).count("error:") == min(len(guilty), 20)


@fuzz(300)
@given(
    st.sampled_from(sorted(EXAMPLES.glob("*.abz"))).map(lambda path: path.read_text()),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.text(max_size=4)), min_size=1, max_size=6),
)
def test_edited_examples_are_read_or_refused(text, edits):
    for place, length, inserted in edits:
        position = int(place * len(text))
        text = text[:position] + inserted + text[position + length :]
    try:
        architecture = parse(text)
    except AbzError as error:
        assert str(error)
        assert all(found.severity in ("error", "note") for found in error.diagnostics)
    else:
        assert parse(print_architecture(architecture)).digest() == architecture.digest()


def test_an_expression_of_another_type_says_so():
    with pytest.raises(AbzError, match=r"found \[D,N\]"):
        check_expression("Q.T")
