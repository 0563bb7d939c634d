"""Cutting a text into tokens, and the parser they are fed to: the only place that knows Lark's set-up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token

from autobertc.dsl.builder import TreeBuilder
from autobertc.dsl.source import Source, Span
from autobertc.dsl.tree import Comment

END = "$END"
KEYWORDS = {"att": "ATT", "conv": "CONV", "let": "LET", "model": "MODEL", "repeat": "REPEAT"}

_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MODEL_NAME_PARTS = {"WORD", "NUMBER", "MALFORMED_NUMBER", "MINUS", "DOT", "TRANSPOSED", *KEYWORDS.values()}


class _KeepAll:
    """Tells Lark to keep the terminals that no rule mentions."""

    always_accept = ("COMMENT", "DOT", "MALFORMED_NUMBER", "STRING", "UNKNOWN")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


@cache
def _lark() -> Lark:
    # Built at the first use: importing the package stays cheap.
    grammar = files("autobertc.grammars").joinpath("abz.lark").read_text(encoding="utf-8")
    options: dict[str, Any] = {"transformer": TreeBuilder(), "postlex": _KeepAll()}
    return Lark(grammar, parser="lalr", lexer="basic", start=["file", "expression"], **options)


def new_parser(start: str) -> Any:
    """A parser (Lark's `InteractiveParser`) at the beginning of a `file` or an `expression`."""
    return _lark().parse_interactive(start=start)


def synthetic(kind: str, at: int) -> Token:
    """A token that is not in the text, to carry on after an error as if it were."""
    return Token(kind, kind.lower(), start_pos=at, end_pos=at)


class TokenStream:
    """The tokens of a text, an END after the last; comments are set aside in `comments`."""

    def __init__(self, source: Source) -> None:
        self.comments: list[Comment] = []
        self._end = len(source.text)
        self._tokens = self._joined(self._uncommented(_lark().lex(source.text)))
        self._next = next(self._tokens)

    def advance(self) -> Token:
        """The next token, which is taken off the stream."""
        token = self._next
        if token.type != END:
            self._next = next(self._tokens)
        return token

    def peek(self) -> Token:
        """The next token, which stays."""
        return self._next

    def _uncommented(self, tokens: Iterator[Token]) -> Iterator[Token]:
        for token in tokens:
            if token.type == "COMMENT":
                text = token.rstrip()
                start = start_of(token)
                self.comments.append(Comment(text, Span(start, start + len(text))))
            else:
                yield token
        yield synthetic(END, self._end)

    def _joined(self, tokens: Iterator[Token]) -> Iterator[Token]:
        """Joins the parts of a model's name: what follows `model` without a gap inside."""
        parts: list[Token] | None = None
        for token in tokens:
            if parts is not None:
                joins = not parts or end_of(parts[-1]) == start_of(token)
                if joins and token.type in _MODEL_NAME_PARTS:
                    parts.append(token)
                    continue
                name = "".join(parts)
                if _MODEL_NAME.fullmatch(name):
                    parts = [Token("MODEL_NAME", name, start_pos=start_of(parts[0]), end_pos=end_of(parts[-1]))]
                yield from parts
            parts = [] if token.type == "MODEL" else None
            yield token


def start_of(token: Token) -> int:
    """The offset of a token's first character."""
    start: int | None = token.start_pos
    assert start is not None
    return start


def end_of(token: Token) -> int:
    """The offset after a token's last character."""
    end: int | None = token.end_pos
    assert end is not None
    return end
