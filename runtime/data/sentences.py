"""Sentences of English prose, well enough for pairs of them: a regular expression and the usual exceptions.

Nothing is lost or added but white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Words that a full stop follows inside a sentence: names' titles, words before a number, others.
_TITLES = "mr mrs ms dr prof rev hon st gen col lt sgt capt cmdr adm gov sen rep pres messrs mt"
_COUNTED = frozenset(["no", "nos", "fig", "figs", "eq", "eqs", "sec", "ch", "vol", "vols", "p", "pp", "art", "op"])
_INSIDE = frozenset([*_TITLES.split(), "vs", "viz", "cf", "e.g", "i.e", "ca", "approx"])
# A sentence's end: its mark, what closes after it, white space, and something that can begin a sentence.
_END = re.compile(r"(?:[.!?…]+[\"'”’)\]*_`]*\s+(?=[\"'“‘(\[*_`#]*[^\W_a-z])|(?<=[。！？])\s*(?=\S))")  # noqa: RUF001
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_INITIAL = re.compile(r"(?:^|[^\w.])(?:[A-Z]\.)*[A-HJ-Z]$")
_LAST_WORD = re.compile(r"[\w.]*$")


def _goes_on(before: str, mark: str, after: str) -> bool:
    """Whether the full stop after `before` belongs to an abbreviation or an initial."""
    if mark != ".":
        return False
    found = _LAST_WORD.search(before)
    word = found[0].lower() if found else ""
    abbreviated = word in _INSIDE or (word in _COUNTED and after.isdigit())
    return abbreviated or _INITIAL.search(before) is not None


def _in_paragraph(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        mark = end[0].rstrip()
        if not _goes_on(text[max(start, end.start() - 40) : end.start()], mark, text[end.end()]):
            yield text[start : end.end()].rstrip()
            start = end.end()
    yield text[start:]


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, white space single. A blank line ends one; a line's end does not."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text))
    return [sentence for paragraph in paragraphs if paragraph for sentence in _in_paragraph(paragraph) if sentence]


def split_lines(text: str) -> list[str]:
    """The sentences of a text that has one a line, as BERT's own input files do."""
    return [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
