"""From syntax tree to canonical text: `autobertc fmt`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autobertc.dsl.comments import Comments
from autobertc.dsl.layout import INDENT, format_expression, lay_out
from autobertc.dsl.tree import (
    Attention,
    Convolution,
    Expression,
    File,
    Header,
    HeaderEntry,
    Let,
    Name,
    Repeat,
    Statement,
)

__all__ = ["format_expression", "format_tree"]

_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def format_tree(file: File) -> str:
    """The file in canonical layout: comments, lets, repeats and groups of lines stay; operations are calls.

    The text reads back to the same tree, and prints to itself. A tree without a text behind it (an empty
    source, no comments) prints too.
    """
    printer = _Printer(file)
    items = [*([file.header] if file.header else []), *file.statements]
    printer.print_block(items, len(file.source.text), 0)
    return "".join(line + "\n" for line in printer.lines)


class _Printer:
    def __init__(self, file: File) -> None:
        self.lines: list[str] = []  # an expression over several lines is one entry
        self._text = file.source.text
        self._comments = Comments(file)
        self._next_comment = 0
        self._printed_to = 0  # the offset up to which the text is printed
        self._block_begins = True
        self._after_header = False

    def print_block(self, items: Sequence[Header | HeaderEntry | Statement], end: int, depth: int) -> None:
        """Prints items and the comments between them, up to the offset at which their block ends."""
        self._block_begins = True
        for item in items:
            self._print_comments(item.span.start, depth)
            self._print_blank_line(item.span.start)
            self._print_item(item, depth)
            self._printed_to = item.span.end
            self._block_begins = False
            self._after_header = isinstance(item, Header)
        self._print_comments(end, depth)

    def _print_item(self, item: Header | HeaderEntry | Statement, depth: int) -> None:
        match item:
            case Let():
                self._print_expression(f"let {item.name} = ", item.value, depth)
            case Attention():
                self._print_expression("att: ", item.value, depth)
            case Convolution():
                self._hoist_comments(item.span.end, depth)
                self._print_line(f"conv: {item.kernel}", depth)
            case HeaderEntry():
                self._hoist_comments(item.span.end, depth)
                self._print_line(f"{item.key}: {item.value}", depth)
            case Header():
                self._print_braces(f"model {item.name}", item.name_span.end, item.entries, item.span.end, depth)
            case Repeat():
                self._print_braces(f"repeat {item.count}", item.count_span.end, item.body, item.span.end, depth)

    def _print_expression(self, prefix: str, value: Expression, depth: int) -> None:
        self._hoist_comments(value.span.end if isinstance(value, Name) else value.span.start, depth)
        self._print_line(lay_out(prefix, value, depth, self._comments), depth)
        self._next_comment = max(self._next_comment, self._comments.inside(value.span).stop)

    def _print_braces(
        self, prefix: str, prefix_end: int, items: Sequence[HeaderEntry | Statement], end: int, depth: int
    ) -> None:
        brace = self._comments.find("{", prefix_end)
        self._hoist_comments(brace, depth)
        if not items and not self._comments.within(brace, end):
            self._print_line(prefix + " {}", depth)
            return
        self._print_line(prefix + " {", depth)
        self._printed_to = brace + 1
        self.print_block(items, end, depth + 1)
        self._print_line("}", depth)

    def _print_comments(self, end: int, depth: int) -> None:
        """Prints the comments before an offset: at the end of the last line if they stood there, or alone."""
        while self._next_comment < self._comments.within(0, end).stop:
            number = self._next_comment
            start = self._comments.starts[number]
            if self.lines and self._text.find("\n", self._printed_to, start) < 0:
                self.lines[-1] += "  " + self._comments.texts[number]
            else:
                self._print_blank_line(start)
                self._print_line(self._comments.texts[number], depth)
                self._block_begins = False
            self._printed_to = self._comments.ends[number]
            self._next_comment += 1

    def _hoist_comments(self, end: int, depth: int) -> None:
        """Prints the comments inside a statement that have no place there on lines in front of it."""
        while self._next_comment < self._comments.within(0, end).stop:
            self._print_line(self._comments.texts[self._next_comment], depth)
            self._next_comment += 1

    def _print_blank_line(self, end: int) -> None:
        """Prints a blank line if there is one in the text up to an offset, and always after the header."""
        blank = _BLANK_LINE.search(self._text, self._printed_to, end) is not None
        if (blank or self._after_header) and not self._block_begins:
            self.lines.append("")
        self._after_header = False

    def _print_line(self, text: str, depth: int) -> None:
        self.lines.append(INDENT * depth + text)
