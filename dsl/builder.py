"""The rules of the grammar as tree nodes: one method a rule or alias of `abz.lark`."""

from __future__ import annotations

from typing import Any, TypeVar

from lark import Token

from autobertc.dsl.source import Span
from autobertc.dsl.tree import (
    Attention,
    Call,
    Convolution,
    Expression,
    Header,
    HeaderEntry,
    Let,
    Name,
    Repeat,
    Statement,
)

T = TypeVar("T")


def _span(first: Any, last: Any) -> Span:
    start: Any = first.start_pos if isinstance(first, Token) else first.span.start
    end: Any = last.end_pos if isinstance(last, Token) else last.span.end
    return Span(start, end)


def _sequence(children: list[Any]) -> list[Any]:
    # `items: | items item`: the list grows in place, so that a long file costs linear time.
    if not children:
        return []
    children[0].append(children[1])
    return children[0]  # type: ignore[no-any-return]


class TreeBuilder:
    """Each method takes the values of a rule's symbols in order and gives the rule's value."""

    items = staticmethod(_sequence)
    body = staticmethod(_sequence)
    entries = staticmethod(_sequence)

    def file(self, children: list[list[Header | Statement]]) -> list[Header | Statement]:
        return children[0]

    def header(self, children: list[Any]) -> Header:
        model, name, _, entries, closing = children
        return Header(str(name), _span(name, name), tuple(entries), _span(model, closing))

    def entry(self, children: list[Token]) -> HeaderEntry:
        key, _, value = children
        return HeaderEntry(str(key), _span(key, key), str(value), _span(value, value))

    def let(self, children: list[Any]) -> Let:
        let, name, _, value = children
        return Let(str(name), _span(name, name), value, _span(let, value))

    def attention(self, children: list[Any]) -> Attention:
        att, _, value = children
        return Attention(value, _span(att, value))

    def convolution(self, children: list[Token]) -> Convolution:
        conv, _, kernel = children
        return Convolution(str(kernel), _span(kernel, kernel), _span(conv, kernel))

    def repeat(self, children: list[Any]) -> Repeat:
        repeat, count, _, body, closing = children
        return Repeat(str(count), _span(count, count), tuple(body), _span(repeat, closing))

    def name(self, children: list[Token]) -> Name:
        return Name(str(children[0]), _span(children[0], children[0]))

    def call(self, children: list[Any]) -> Call:
        function, closing = children[0], children[-1]
        arguments = tuple(children[2]) if len(children) == 4 else ()
        return Call(str(function), _span(function, function), arguments, _span(function, closing))

    def arguments(self, children: list[Any]) -> list[Expression]:
        if len(children) == 1:
            return [children[0]]
        arguments, _, argument = children
        arguments.append(argument)
        return arguments  # type: ignore[no-any-return]

    def group(self, children: list[Any]) -> Expression:
        opening, inner, closing = children
        span = _span(opening, closing)
        if isinstance(inner, Name):
            return Name(inner.text, span)
        return Call(inner.function, inner.function_span, inner.arguments, span)

    def add(self, children: list[Any]) -> Call:
        return self._infix("add", *children)

    def matmul(self, children: list[Any]) -> Call:
        return self._infix("matmul", *children)

    def neg(self, children: list[Any]) -> Call:
        operator, operand = children
        return Call("neg", _span(operator, operator), (operand,), _span(operator, operand))

    def transpose(self, children: list[Any]) -> Call:
        operand, operator = children
        return Call("transpose", _span(operator, operator), (operand,), _span(operand, operator))

    def _infix(self, function: str, left: Expression, operator: Token, right: Expression) -> Call:
        return Call(function, _span(operator, operator), (left, right), _span(left, right))
