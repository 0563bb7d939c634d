"""The printer: canonical layout, nothing lost, and the same again when printed twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import fuzz

from autobertc.dsl.parser import parse_expression, parse_tree
from autobertc.dsl.printer import format_expression, format_tree
from autobertc.dsl.source import Source, Span
from autobertc.dsl.tree import Attention, File, Header, Name, Repeat, same_tree

NOWHERE = Span(0, 0)


def parse(text: str) -> File:
    return parse_tree(Source("test.abz", text))


def checked_format(text: str) -> str:
    """Formats, and checks that the text says the same and is final."""
    file = parse(text)
    formatted = format_tree(file)
    again = parse(formatted)
    assert same_tree(file, again), formatted
    assert format_tree(again) == formatted
    return formatted


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("", ""),
        ("\n\n", ""),
        ("\n# only", "# only\n"),
        ("conv:3", "conv: 3\n"),
        ("att  :  softmax( Q@K.T )@V", "att: matmul(softmax(matmul(Q, transpose(K))), V)\n"),
        ("let a=-Q+K", "let a = add(neg(Q), K)\n"),
        ("att: (Q)", "att: Q\n"),
        ("att: f(\n)", "att: f()\n"),
        ("conv: 3\n\n\n\n# a  \n\n\n# b\nconv: 5", "conv: 3\n\n# a\n\n# b\nconv: 5\n"),
        ("conv: 3 # a\n# b\nconv: 5#c", "conv: 3  # a\n# b\nconv: 5  #c\n"),
        ("model m {}\natt: Q", "model m {}\n\natt: Q\n"),
        ("model m { a:1 b : 2e-3 } # c\natt: Q", "model m {\n  a: 1\n  b: 2e-3\n}  # c\n\natt: Q\n"),
        ("model m { # a\n a: 1 # b\n # c\n}", "model m {  # a\n  a: 1  # b\n  # c\n}\n"),
        ("repeat 2{\n\nconv:3 conv:5 # a\n\n}", "repeat 2 {\n  conv: 3\n  conv: 5  # a\n}\n"),
        ("repeat 2 { # a\n}", "repeat 2 {  # a\n}\n"),
        ("repeat 2 { repeat 3 {\n# a\n} }", "repeat 2 {\n  repeat 3 {\n    # a\n  }\n}\n"),
        ("repeat 2 { repeat # {\n 3 {} }", "repeat 2 {\n  # {\n  repeat 3 {}\n}\n"),
        ("repeat 2 {\nconv # a\n: # b\n3 }", "repeat 2 {\n  # a\n  # b\n  conv: 3\n}\n"),
        ("att: (Q # a\n)", "# a\natt: Q\n"),
        ("att: (\n# a\nf(Q) # b\n)\n", "att: f(\n  # a\n  Q  # b\n)\n"),
        ("att: f( # a\n)", "att: f(  # a\n)\n"),
        ("att: f(Q, # a\n (K # b\n), V)", "att: f(\n  Q,  # a\n  K,  # b\n  V\n)\n"),
        ("att: f(Q, (\n# a\n# b\nK # c\n), V)", "att: f(\n  Q,\n  # a\n  # b\n  K,  # c\n  V\n)\n"),
        ("att: (Q # a\n + # b\n K)", "att: add(\n  Q,  # a\n  # b\n  K\n)\n"),
        ("att: f(g(Q # a\n), h(K))", "att: f(\n  g(\n    Q  # a\n  ),\n  h(K)\n)\n"),
    ],
)
def test_layout(text: str, formatted: str) -> None:
    assert checked_format(text) == formatted


def test_only_calls_that_do_not_fit_are_broken() -> None:
    long = "a" * 40
    assert checked_format(f"att: f(g({long}, {long}), h(Q, K, {long}))") == (
        f"att: f(\n  g({long}, {long}),\n  h(Q, K, {long})\n)\n"
    )


def test_the_longest_line_that_fits() -> None:
    fits = "att: f(" + "a" * 92 + ")"
    assert checked_format(fits) == fits + "\n"
    assert checked_format(f"att: f({'a' * 93})") == f"att: f(\n  {'a' * 93}\n)\n"
    assert checked_format("att: " + "f" * 200 + "()") == "att: " + "f" * 200 + "()\n"


@pytest.mark.parametrize("inner", ["Q", "Q # deep\n", "(\n# deep\n-Q)"])
def test_deep_nesting_grows_linearly(inner: str) -> None:
    text = "att: " + "neg(" * 10_000 + inner + ")" * 10_000
    assert len(checked_format(text)) < 100 * len(text)


def test_long_sums_print_quickly() -> None:
    checked_format("att: Q" + " + K" * 10_000)
    checked_format("repeat 2 {" + "conv: 3 # c\n" * 10_000 + "}")


def test_expressions_print_on_one_line() -> None:
    _, root = parse_expression("f(\nA, B.T,\n# comment\ng())")
    assert format_expression(root) == "f(A, transpose(B), g())"


def test_a_tree_without_a_text() -> None:
    attention = Attention(Name("Q", NOWHERE), NOWHERE)
    repeat = Repeat("2", NOWHERE, (attention,), NOWHERE)
    header = Header("m", NOWHERE, (), NOWHERE)
    file = File(Source("made", ""), header, (attention, repeat), ())
    assert format_tree(file) == "model m {}\n\natt: Q\nrepeat 2 {\n  att: Q\n}\n"


# Random files, written down untidily.

NAMES = st.sampled_from(["Q", "K", "V", "P", "T", "scores", "a" * 30, "b" * 55])
COMMENT = st.sampled_from(["#", "# c", "#{ (", "# é ) }"])
GAP = st.one_of(st.sampled_from(["", " ", "  ", "\t"]), st.just("\n"), st.builds(" {}\n".format, COMMENT))
SPACE = st.sampled_from([" ", "  ", " \t "])
LINE_END = st.lists(st.one_of(st.just("\n"), st.builds("  {}\n".format, COMMENT)), min_size=1, max_size=3).map("".join)


def _parenthesised(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("({}{}{})".format, GAP, parts, GAP)


def _extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    # Everything that takes gaps stands in parentheses: outside them a newline would end the statement.
    infix = st.builds("{}{}{}{}{}".format, inner, GAP, st.sampled_from("+@"), GAP, inner)
    arguments = st.lists(st.builds("{}{}{}".format, GAP, inner, GAP), max_size=3).map(",".join)
    function = st.sampled_from(["f", "matmul", "softmax", "logsigmoid"])
    return st.one_of(
        _parenthesised(inner),
        _parenthesised(infix),
        _parenthesised(st.builds("-{}{}".format, GAP, inner)),
        st.builds("{}.T".format, inner),
        st.builds("{}({})".format, function, arguments),
    )


EXPRESSIONS = st.recursive(NAMES, _extended, max_leaves=12)
ATTENTION = st.builds("att:{}{}".format, SPACE, EXPRESSIONS)
CONVOLUTION = st.builds("conv{}:{}".format, SPACE, st.sampled_from(["3", "65"]))
LET = st.builds("let{}{}{}={}".format, SPACE, NAMES, SPACE, EXPRESSIONS)


def _block(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(st.builds("{}{} ".format, GAP, inner), max_size=3).map("".join)
    return st.builds("repeat{}2{}{{{}{}}}".format, SPACE, SPACE, body, GAP)


LAYERS = st.one_of(ATTENTION, CONVOLUTION)
STATEMENTS = st.one_of(LAYERS, LET, st.recursive(LAYERS, _block, max_leaves=5))
ENTRY = st.builds("{}hidden{}:{}768 ".format, GAP, GAP, GAP)
HEADERS = st.builds("model m-1 {{{}{}}}".format, st.lists(ENTRY, max_size=3).map("".join), GAP)
FILES = st.builds(
    "{}{}{}".format,
    st.one_of(st.just(""), LINE_END),
    st.one_of(st.just(""), st.builds("{}{}".format, HEADERS, LINE_END)),
    st.lists(st.builds("{}{}".format, STATEMENTS, LINE_END), max_size=5).map("".join),
)


@fuzz(300)
@given(FILES)
def test_random_files_keep_their_meaning_and_their_comments(text: str) -> None:
    formatted = checked_format(text)  # the comments and their order are a part of the tree
    assert "\n\n\n" not in formatted
    assert not any(line.endswith((" ", "\t")) for line in formatted.split("\n"))
    assert formatted == "" or (formatted.endswith("\n") and not formatted.startswith("\n"))
