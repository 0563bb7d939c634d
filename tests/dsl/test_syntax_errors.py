"""Syntax errors: all are found, in the right place and in plain words, and only `AbzError` is raised."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import fuzz

from autobertc.dsl.parser import parse_expression, parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import AbzError, Diagnostic, Source

ERRORS = Path(__file__).parents[1] / "errors"
GOOD = """\
# A file to spoil
model autobert-zero_2 { hidden: 768 heads: 12
  dropout: 0.1 }  # c
let scores = Q @ K.T
conv: 65
att: matmul(softmax(scale(scores)),  # x
  -add(V, (K + Q)))
repeat 12 { conv: 3 repeat 3 { att: softmax(Q @ K.T) @ V } conv: 5 }
"""


def errors_of(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(AbzError) as caught:
        parse_tree(Source("test.abz", text))
    return caught.value.diagnostics


def tokens_of_error(text: str) -> list[tuple[str, str]]:
    """Each error's message with the text it points at."""
    found = errors_of(text)
    return [(e.message, text[e.span.start : e.span.end] if e.span else "") for e in found]


@pytest.mark.parametrize("path", sorted(ERRORS.glob("syntax-*.abz")), ids=lambda path: path.stem)
def test_messages(path: Path) -> None:
    """Set UPDATE_GOLDEN=1 to write the messages that come out instead of comparing them."""
    source = Source(path.name, path.read_text(encoding="utf-8"))
    with pytest.raises(AbzError) as caught:
        parse_tree(source)
    rendered = "\n".join(diagnostic.render() for diagnostic in caught.value.diagnostics) + "\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_there_are_goldens() -> None:
    assert len(list(ERRORS.glob("syntax-*.abz"))) >= 10


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ("Q K", "expected an operator, found `K`", "K"),
        ("f(Q K)", "expected an operator, `,` or `)`, found `K`", "K"),
        ("f(Q,)", "expected an expression after `,`, found `)`", ")"),
        ("f(Q,,K)", "expected an expression, found `,`", ","),
        ("(Q", "this `(` is never closed", "("),
        ("f(g(Q)", "this `(` is never closed", "("),
        ("Q)", "unmatched `)`: no `(` is open here", ")"),
        ("Q}", "unmatched `}`: no `{` is open here", "}"),
        ("", "expected an expression, found the end of the file", ""),
        ("Q +", "expected an expression, found the end of the file", ""),
        ("scale(2)", "expected an expression, found the number `2`", "2"),
        ("att: Q", "expected an expression, found `att`", "att"),
        ("f(let, Q)", "`let` is a reserved word, it cannot name a value", "let"),
        ("Q.t", "unexpected `.t`: only `.T`, transpose, is written with a dot", ".t"),
        ("Q * K", "unexpected `*`", "*"),
        ("'Q'", "there are no strings in the language", "'Q'"),
        ("Q\0", "unexpected `\\x00`", "\0"),
    ],
)
def test_expressions(text: str, message: str, pointed: str) -> None:
    with pytest.raises(AbzError) as caught:
        parse_expression(text)
    first = caught.value.diagnostics[0]
    assert first.message == message
    assert first.span is not None
    assert text[first.span.start : first.span.end] == pointed


def test_every_error_is_found() -> None:
    lines = ["att: add(Q, 2)", "conv: 3", "atn: Q", "conv = 5", "att: f(Q,)", "att: Q K", "att: (Q"]
    found = errors_of("\n".join(lines))
    places = [Source("", "\n".join(lines)).position(e.span.start)[0] for e in found if e.span]
    assert places == [1, 3, 4, 5, 6, 7]


def test_an_unclosed_parenthesis_does_not_hide_what_follows() -> None:
    text = "att: f(g(Q)\nconv: 3 3\nfoo: 3\nlet a = (Q\nb = K\nrepeat 2 { att: (Q }\nconv: x"
    assert [message for message, _ in tokens_of_error(text)] == [
        "this `(` is never closed before `conv`",
        "expected the end of the line, found the number `3`",
        "unknown statement `foo`",
        "this `(` is never closed before `b`",
        "unknown statement `b`",
        "this `(` is never closed before `}`",
        "expected a kernel width, found `x`",
    ]


def test_blocks_survive_errors_in_and_before_them() -> None:
    text = "repeat x {\n conv: 3\n foo: 4\n conv = 5\n}\nmodel {\n a 3\n b = 4\n}\nbar 3 {\n conv: }\nconv: y"
    assert [pointed for _, pointed in tokens_of_error(text)] == [
        "x",
        "foo",
        "=",
        "model",
        "{",
        "3",
        "=",
        "bar",
        "}",
        "y",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("attn: Q", "did you mean `att`?"),
        ("attention: Q", "did you mean `att`?"),
        ("Conv: 3", "did you mean `conv`?"),
        ("repaet 2 { conv: 3 }", "did you mean `repeat`?"),
        ("x = Q", "a named expression is written `let x = ...`"),
        ("softmax(Q)", "an attention layer is written `att: EXPRESSION`"),
        ("zzz: Q", "a statement begins with `att:`, `conv:`, `let` or `repeat`"),
        ("att: Q\u00d7K", "a matrix product is written `@`"),
        ("att: \u041a", "`\u041a` is CYRILLIC CAPITAL LETTER KA, it only looks like `K`"),
        ("att: \u2212Q", "the character looks like `-` but is another"),
        ("att:\u00a0Q", "remove the character NO-BREAK SPACE"),
        ("conv: 3;", "a statement ends with its line"),
        ("// comment", "a comment starts with `#`"),
        ("att: Q +\nK", "an expression goes on over the end of a line only inside parentheses"),
        ("att: Q\n+ K", "an expression goes on over the end of a line only inside parentheses"),
        ("conv: 3 conv: 5", "write one statement a line"),
        ("repeat 2\n{ conv: 3 }", "put the `{` on the same line"),
        ("model {}", "a header is written `model NAME { ... }`"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    assert errors_of(text)[0].hint == hint


def test_an_error_at_the_end_of_a_line_does_not_hide_the_next() -> None:
    assert [pointed for _, pointed in tokens_of_error("att: Q +\nfoo: 3\natt\nbar: 3\nrepeat\nbaz: 3")] == [
        "",
        "foo",
        "",
        "bar",
        "",
        "baz",
    ]


def test_many_errors_in_one_block() -> None:
    assert len(errors_of("repeat 2 {\n" + "foo: 3\n" * 900 + "}")) == 900
    assert len(errors_of("model m {\n" + "foo: -\n" * 900 + "}")) == 900
    assert len(errors_of("repeat 2 {\n" + "att: (Q\n" * 900 + "}")) == 900


def test_where_things_belong() -> None:
    assert tokens_of_error("conv: 3\nmodel m {}\nmodel n {}\nrepeat 2 { let a = Q }") == [
        ("the header must come first, before every statement", "model"),
        ("a second header: a file has one at most", "model"),
        ("`let` belongs at file level, not inside a block", "let"),
    ]


def test_many_errors_are_cut() -> None:
    found = errors_of("$\n" * 100_000)
    assert len(found) == 1001
    assert found[-1].message == "stopped after 1000 errors"
    text = str(AbzError(found))
    assert text.endswith("… and 981 more errors")
    assert text.count("\n") < 100


@pytest.mark.parametrize(
    "text",
    [
        "att: " + "(" * 100_000,
        "att: " + ")" * 100_000,
        "att: Q" + ".t" * 100_000,
        "{" * 100_000,
        "repeat 2 {" * 100_000,
        "\u00e9" * 1_000_000,
        "let " * 100_000,
        "conv: " + "9" * 1_000_000 + "x",
        "att: " + "a" * 1_000_000 + " b",
        "att: f(" + "Q,," * 100_000,
        "att: " + "(" * 100_000 + "Q Q + " * 1000,
        "'\"" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_end_with_short_messages(text: str) -> None:
    with pytest.raises(AbzError) as caught:
        parse_tree(Source("n" * 100_000, text))
    assert len(str(caught.value)) < 20_000


def survives(text: str) -> None:
    """Reads a text: it either fails as it should, or prints and reads back."""
    try:
        file = parse_tree(Source("fuzz.abz", text))
    except AbzError as error:
        assert error.diagnostics
        str(error).encode()
        for diagnostic in error.diagnostics:
            assert diagnostic.span is None or diagnostic.span.end <= len(text)
            assert not any(name in diagnostic.message for name in ("RPAR", "WORD", "NEWLINE", "UNKNOWN", "$"))
    else:
        parse_tree(Source("fuzz.abz", format_tree(file)))


@fuzz(150)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    survives(data.decode("latin-1").replace("$", ""))


PIECES = st.sampled_from(
    [
        *"(){}:=,+-@.#\n \n ",
        ".T",
        "att",
        "att:",
        "conv: 3",
        "let a =",
        "model m {",
        "repeat 2 {",
        "Q",
        "K",
        "1.5",
        "é",
    ]
)


@fuzz(400)
@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_random_tokens(text: str) -> None:
    survives(text)


@pytest.mark.parametrize("seed", range(300))
def test_random_edits(seed: int) -> None:
    chance = random.Random(seed)
    text = GOOD
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.randint(0, 4))
        other = chance.randrange(len(text))
        text = text[:start] + text[other : other + chance.randint(0, 6)] + text[end:]
    survives(text)
