"""The syntax tree: what a file says, in the order it says it, with a span for every part.

Expressions may be nested thousands of levels deep, so nothing here recurses over them: nodes compare by
identity (`same_tree` compares by content) and have short representations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from autobertc.dsl.source import Source, Span, shorten


class _Node:
    __slots__ = ()

    def __repr__(self) -> str:
        # No fields beyond the first: a dataclass representation would recurse.
        first = next(iter(type(self).__slots__), None)
        value = getattr(self, first) if first else ""
        return f"{type(self).__name__}({shorten(value)!r})" if isinstance(value, str) else f"{type(self).__name__}(…)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name(_Node):
    """An input or a `let` by its name. A span takes in the parentheses put around an expression."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(_Node):
    """An op applied to arguments. Infix sugar makes the same node, with the operator as `function_span`."""

    function: str
    function_span: Span
    arguments: tuple[Expression, ...]
    span: Span


Expression: TypeAlias = Name | Call


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeaderEntry(_Node):
    """`key: value`, the value as written: a number or a word."""

    key: str
    key_span: Span
    value: str
    value_span: Span

    @property
    def span(self) -> Span:
        """From the key to the value."""
        return Span(self.key_span.start, self.value_span.end)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Header(_Node):
    """`model NAME { entries }`."""

    name: str
    name_span: Span
    entries: tuple[HeaderEntry, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Let(_Node):
    """`let NAME = EXPR`."""

    name: str
    name_span: Span
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attention(_Node):
    """`att: EXPR`."""

    value: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Convolution(_Node):
    """`conv: KERNEL`, the kernel width as written."""

    kernel: str
    kernel_span: Span
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Repeat(_Node):
    """`repeat COUNT { body }`, the count as written."""

    count: str
    count_span: Span
    body: tuple[Statement, ...]
    span: Span


Statement: TypeAlias = Let | Attention | Convolution | Repeat


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comment(_Node):
    """A comment from its `#` to the last character that is not a space."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class File(_Node):
    """A whole architecture file; comments are kept beside the statements, in the order of the text."""

    source: Source
    header: Header | None
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]


Node: TypeAlias = Expression | HeaderEntry | Header | Statement | Comment | File


def walk(expression: Expression) -> Iterator[Expression]:
    """The nodes of an expression, arguments before the call that takes them."""
    stack: list[tuple[Expression, bool]] = [(expression, False)]
    while stack:
        node, arguments_done = stack.pop()
        if arguments_done or isinstance(node, Name):
            yield node
        else:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(node.arguments))


def same_tree(a: Node, b: Node) -> bool:
    """Whether two trees say the same, wherever in a text they say it. Comments count by their text."""
    pairs: list[tuple[object, object]] = [(a, b)]
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if type(left) is not type(right):
            return False
        if isinstance(left, tuple) and isinstance(right, tuple):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif isinstance(left, _Node):
            fields: tuple[str, ...] = type(left).__slots__
            pairs.extend((getattr(left, field), getattr(right, field)) for field in fields)
        elif not isinstance(left, Span | Source) and left != right:
            return False
    return True
