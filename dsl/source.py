"""Source text, places in it, and the errors that point there."""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Literal

MAX_FILE_BYTES = 64 * 2**20
MAX_ERRORS_SHOWN = 20
MAX_NAME_SHOWN = 60
MAX_PATH_SHOWN = 240
MAX_MESSAGE_SHOWN = 2000
LINE_WINDOW = 100
TAB_WIDTH = 4

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets in a source's text."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A named text. A byte order mark is dropped and every line end becomes a line feed: offsets count the
    characters of `text` as it is kept here."""

    name: str
    text: str

    def __post_init__(self) -> None:
        text = self.text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        object.__setattr__(self, "text", text)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Source:
        """The text of a UTF-8 file.

        Raises `AbzError` with one message if the file cannot be read, is a directory, is larger than 64 MiB,
        is not UTF-8, or holds a NUL byte.
        """
        name = str(path)
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
            raise _unreadable(name, _why_unreadable(error)) from error
        if len(data) > MAX_FILE_BYTES:
            raise _unreadable(name, f"the file is larger than {MAX_FILE_BYTES // 2**20} MiB")
        if (nul := data.find(b"\0")) >= 0:
            raise _unreadable(name, f"not a text file: a NUL byte at {_byte_place(data, nul)}")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _unreadable(name, f"not UTF-8: a bad byte at {_byte_place(data, error.start)}") from error
        return cls(name, text)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(line_feed.end() for line_feed in re.finditer("\n", self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column of a character, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_span(self, offset: int) -> Span:
        """The line that holds a character, without its line feed."""
        start = self._line_starts[self.position(offset)[0] - 1]
        end = self.text.find("\n", offset)
        return Span(start, len(self.text) if end < 0 else end)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message to the author of a file."""

    severity: Severity
    message: str
    span: Span | None
    source: Source | None
    notes: tuple[str, ...] = ()
    hint: str | None = None

    def render(self) -> str:
        """The message as plain text: place, message, source line with carets, notes and hint."""
        where, excerpt, gutter = "", [], "  "
        if self.source is not None:
            where = visible(shorten(self.source.name, MAX_PATH_SHOWN)) + ": "
            if self.span is not None:
                line, column = self.source.position(self.span.start)
                where = f"{where[:-2]}:{line}:{column}: "
                gutter = " " * len(f"  {line} ")
                text, carets = _excerpt(self.source, self.span)
                excerpt = [f"  {line} | {text}".rstrip(), f"{gutter}| {carets}"]
        remarks = [*self.notes, *([f"help: {self.hint}"] if self.hint else [])]
        lines = [f"{where}{self.severity}: {_prose(self.message)}", *excerpt]
        lines += [f"{gutter}= {_prose(remark)}" for remark in remarks]
        return "\n".join(lines)


class AbzError(Exception):
    """What is wrong with a file: all that was found, in one exception."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        shown = [diagnostic.render() for diagnostic in self.diagnostics[:MAX_ERRORS_SHOWN]]
        if (hidden := len(self.diagnostics) - len(shown)) > 0:
            shown.append(f"… and {hidden} more error{'s' if hidden > 1 else ''}")
        return "\n".join(shown)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like a misspelt word, if one is like it. Looks at the first 500 candidates."""
    if len(word) > MAX_NAME_SHOWN:
        return None
    by_folded = {candidate.lower(): candidate for candidate in islice(candidates, 500)}
    close = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def shorten(text: str, limit: int = MAX_NAME_SHOWN) -> str:
    """The text, or its beginning and an ellipsis when it is longer than the limit."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def visible(text: str) -> str:
    """The text with control, invisible and unencodable characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _prose(text: str) -> str:
    return "\n".join(visible(line) for line in shorten(text, MAX_MESSAGE_SHOWN).split("\n"))


def _excerpt(source: Source, span: Span) -> tuple[str, str]:
    """The line a span begins in, or a window of it, and the carets to print below it."""
    line = source.line_span(span.start)
    first, end = line.start, line.end
    if end - first > LINE_WINDOW:
        if min(span.end, end) - first > LINE_WINDOW:
            first = max(first, span.start - LINE_WINDOW // 3)
        end = min(end, first + LINE_WINDOW)
    cut_before, cut_after = "…" * (first > line.start), "…" * (end < line.end)
    before = cut_before + _displayed(source.text[first : span.start])
    under = _displayed(source.text[span.start : min(span.end, end)])
    after = _displayed(source.text[max(span.start, min(span.end, end)) : end]) + cut_after
    return before + under + after, " " * _columns(before) + "^" * max(1, _columns(under))


def _displayed(text: str) -> str:
    return visible(text.replace("\t", " " * TAB_WIDTH))


def _columns(text: str) -> int:
    """How many terminal columns a text takes: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _unreadable(name: str, message: str) -> AbzError:
    return AbzError([Diagnostic("error", message, None, Source(name, ""))])


def _why_unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory, not a file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"


def _byte_place(data: bytes, offset: int) -> str:
    line_count = data.count(b"\n", 0, offset) + 1
    return f"byte {offset} (line {line_count})"
