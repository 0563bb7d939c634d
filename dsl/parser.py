"""From text to syntax tree."""

from __future__ import annotations

from typing import cast

from autobertc.dsl.recovery import Reader
from autobertc.dsl.source import AbzError, Source
from autobertc.dsl.tree import Expression, File, Header, Statement


def parse_tree(source: Source) -> File:
    """The tree of an architecture file.

    Raises `AbzError` with every syntax error found in it (reading goes on after each, up to 1000 of them).
    """
    reader = Reader(source, "file")
    items = cast("list[Header | Statement]", reader.read())
    if reader.errors:
        raise AbzError(reader.errors)
    header = items[0] if items and isinstance(items[0], Header) else None
    statements = tuple(item for item in items if not isinstance(item, Header))
    return File(source, header, statements, tuple(reader.stream.comments))


def parse_expression(text: str, name: str = "<expression>") -> tuple[Source, Expression]:
    """The tree of a bare expression such as `softmax(Q @ K.T) @ V`, in which newlines mean nothing.

    Raises `AbzError` with the first syntax errors, those found without losing the thread.
    """
    source = Source(name, text)
    reader = Reader(source, "expression")
    expression = cast(Expression, reader.read())
    if reader.errors:
        raise AbzError(reader.errors)
    return source, expression
