"""The parser: what the syntax means as a tree, where its parts stand, and that size does not hurt it."""

from __future__ import annotations

import gc
import time

import pytest

from autobertc.dsl.parser import parse_expression, parse_tree
from autobertc.dsl.printer import format_expression
from autobertc.dsl.source import AbzError, Source, Span
from autobertc.dsl.tree import (
    Attention,
    Call,
    Convolution,
    File,
    Header,
    Let,
    Name,
    Repeat,
    same_tree,
    walk,
)

EXAMPLE = """\
# An example
model autobert-zero_2.5b {
  hidden: 768   heads: 12 dropout: 0.1
  eps: 1e-12  act: gelu
}

let scores = Q @ K.T   # shared
conv: 65
att: matmul(
  softmax(scale(scores)),
  V  # the values
)
repeat 2 { conv: 3 repeat 3 { att: Q
  conv: 5 } }
"""


def parse(text: str) -> File:
    return parse_tree(Source("test.abz", text))


def expression(text: str) -> str:
    return format_expression(parse_expression(text)[1])


def text_at(file: File, span: Span) -> str:
    return file.source.text[span.start : span.end]


def test_a_whole_file() -> None:
    file = parse(EXAMPLE)
    assert file.header is not None
    assert file.header.name == "autobert-zero_2.5b"
    entries = [(entry.key, entry.value) for entry in file.header.entries]
    assert entries == [
        ("hidden", "768"),
        ("heads", "12"),
        ("dropout", "0.1"),
        ("eps", "1e-12"),
        ("act", "gelu"),
    ]
    let, conv, att, repeat = file.statements
    assert isinstance(let, Let) and let.name == "scores"
    assert isinstance(conv, Convolution) and conv.kernel == "65"
    assert isinstance(att, Attention) and format_expression(att.value) == "matmul(softmax(scale(scores)), V)"
    assert isinstance(repeat, Repeat) and repeat.count == "2" and len(repeat.body) == 2
    inner = repeat.body[1]
    assert isinstance(inner, Repeat) and inner.count == "3" and len(inner.body) == 2
    assert [comment.text for comment in file.comments] == ["# An example", "# shared", "# the values"]


def test_spans_are_the_text_of_the_parts() -> None:
    file = parse(EXAMPLE)
    header, (let, conv, att, repeat) = file.header, file.statements
    assert isinstance(header, Header) and isinstance(let, Let) and isinstance(att, Attention)
    assert text_at(file, header.name_span) == header.name
    assert text_at(file, header.span).startswith("model ") and text_at(file, header.span).endswith("}")
    assert [text_at(file, entry.span) for entry in header.entries][-2:] == ["eps: 1e-12", "act: gelu"]
    assert text_at(file, let.span) == "let scores = Q @ K.T"
    assert isinstance(let.value, Call)
    assert text_at(file, let.value.function_span) == "@"
    assert text_at(file, let.value.arguments[1].span) == "K.T"
    assert text_at(file, conv.span) == "conv: 65"
    assert isinstance(att.value, Call)
    assert text_at(file, att.value.function_span) == "matmul"
    assert text_at(file, repeat.span).endswith("} }")
    assert [text_at(file, comment.span) for comment in file.comments] == [c.text for c in file.comments]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Q", "Q"),
        ("foo(Q)", "foo(Q)"),
        ("f()", "f()"),
        ("A.T", "transpose(A)"),
        ("A.T.T", "transpose(transpose(A))"),
        ("-A", "neg(A)"),
        ("--A", "neg(neg(A))"),
        ("-A.T", "neg(transpose(A))"),
        ("(-A).T", "transpose(neg(A))"),
        ("-A @ -B", "matmul(neg(A), neg(B))"),
        ("A @ B @ C", "matmul(matmul(A, B), C)"),
        ("A + B + C", "add(add(A, B), C)"),
        ("A + (B + C)", "add(A, add(B, C))"),
        ("A @ B + C @ D.T", "add(matmul(A, B), matmul(C, transpose(D)))"),
        ("A @ (B + C) @ D", "matmul(matmul(A, add(B, C)), D)"),
        ("f(A + B, -C).T", "transpose(f(add(A, B), neg(C)))"),
        ("softmax(Q @ K.T) @ V", "matmul(softmax(matmul(Q, transpose(K))), V)"),
        ("A\n+\nB # end", "add(A, B)"),
        ("T.T", "transpose(T)"),
        ("((A))", "A"),
        ("Tx + attn", "add(Tx, attn)"),
    ],
)
def test_infix_sugar(text: str, meaning: str) -> None:
    assert expression(text) == meaning


def test_an_expression_takes_in_the_parentheses_around_it() -> None:
    source, root = parse_expression("(A + B) @ C")
    assert isinstance(root, Call)
    span = root.arguments[0].span
    assert source.text[span.start : span.end] == "(A + B)"
    assert root.span == Span(0, len(source.text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# only a comment",
        "conv: 3",
        "\n  conv: 3  \n\n",
        "repeat 2 {}\n",
        "repeat 2 { conv: 3 conv: 5 }",
        "repeat 2\t{\nconv\n:\n3\n}\natt: Q",
        "model x {}",
        "\ufeffmodel 7b {}\r\nconv: 3\r\natt: Q\rconv: 5",
        "model att {att_: 1}",
        "att: (\n\nQ\n# comment\n+ K)\n",
        "att: f(\n)",
    ],
)
def test_accepted(text: str) -> None:
    parse(text)


def test_line_ends_and_the_byte_order_mark_mean_nothing() -> None:
    plain = parse("let a = Q\natt: a @ K.T\n")
    assert same_tree(plain, parse("\ufefflet a = Q\r\natt: a @ K.T\r\n"))
    assert same_tree(plain, parse("let a = Q\ratt: a @ K.T"))
    assert not same_tree(plain, parse("let a = Q\natt: a @ K"))
    assert not same_tree(plain, parse("let a = Q\natt: a @ K.T # comment\n"))
    assert not same_tree(plain, parse("let a = Q\natt: f(a)"))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "Q" + ")" * 10_000,
        "neg(" * 10_000 + "Q" + ")" * 10_000,
        "-" * 10_000 + "Q",
        "Q" + ".T" * 10_000,
        "Q" + " + K" * 10_000,
        "Q + (" * 10_000 + "K" + ")" * 10_000,
        "f(" + "Q, " * 10_000 + "Q)",
    ],
)
def test_deep_and_wide_expressions(text: str) -> None:
    _, once = parse_expression(text)
    _, again = parse_expression(text)
    assert same_tree(once, again)
    assert len(repr(once)) < 100
    assert sum(isinstance(node, Name) for node in walk(once)) >= 1
    del once, again
    gc.collect()


def test_walk_gives_arguments_before_their_call() -> None:
    _, root = parse_expression("f(A, g(B), C)")
    assert [n.text if isinstance(n, Name) else n.function for n in walk(root)] == ["A", "B", "g", "C", "f"]


def test_ten_thousand_lines_take_linear_time() -> None:
    def seconds(count: int) -> float:
        text = "let a0 = Q\n" + "".join(f"let a{i} = matmul(a{i - 1}, K)\n" for i in range(1, count))
        start = time.process_time()
        assert len(parse(text).statements) == count
        return time.process_time() - start

    # Ten times the lines take ten times as long; a hundred times, if the time grew with the square.
    assert min(seconds(10_000) for _ in range(2)) < 40 * min(seconds(1_000) for _ in range(3))


def test_a_number_may_have_any_length() -> None:
    (conv,) = parse("conv: " + "9" * 5000).statements
    assert isinstance(conv, Convolution) and len(conv.kernel) == 5000


def test_blocks_may_be_nested_64_deep() -> None:
    parse("repeat 2 {" * 64 + "conv: 3" + "}" * 64)
    with pytest.raises(AbzError, match="nested more than 64 deep"):
        parse("repeat 2 {" * 65 + "conv: 3" + "}" * 65)


def test_nodes_compare_by_identity() -> None:
    assert Name("Q", Span(0, 1)) != Name("Q", Span(0, 1))
    assert repr(Name("Q" * 1000, Span(0, 1))) == "Name('" + "Q" * 59 + "…')"


def test_trees_of_different_shapes_differ() -> None:
    _, one = parse_expression("f(Q)")
    _, two = parse_expression("f(Q, K)")
    _, name = parse_expression("f")
    assert not same_tree(one, two)
    assert not same_tree(one, name)
