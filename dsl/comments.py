"""Where the comments of a file stand, for the printer to put them back."""

from __future__ import annotations

from bisect import bisect_left

from autobertc.dsl.source import Span
from autobertc.dsl.tree import Call, File, Name


class Comments:
    """The comments of a file by their offsets. A comment is given as its number in the order of the text."""

    def __init__(self, file: File) -> None:
        self.texts = [comment.text for comment in file.comments]
        self.starts = [comment.span.start for comment in file.comments]
        self.ends = [comment.span.end for comment in file.comments]
        self._source_text = file.source.text

    def within(self, start: int, end: int) -> range:
        """The comments that begin between two offsets."""
        return range(bisect_left(self.starts, start), bisect_left(self.starts, end))

    def inside(self, span: Span) -> range:
        """The comments inside a span."""
        return self.within(span.start, span.end)

    def own_line(self, number: int) -> bool:
        """Whether nothing but space stands before a comment on its line."""
        start = self.starts[number]
        line_start = self._source_text.rfind("\n", 0, start) + 1
        return not self._source_text[line_start:start].strip()

    def find(self, character: str, start: int) -> int:
        """The first offset from `start` of a character outside comments; `start` if there is none."""
        found = self._source_text.find(character, start)
        while found >= 0:
            before = bisect_left(self.starts, found) - 1
            if before < 0 or self.ends[before] <= found:
                return found
            found = self._source_text.find(character, self.ends[before])
        return start

    def gaps(self, call: Call) -> list[list[int]]:
        """A call's comments outside its arguments: before the first of them, and after each.

        A comment in the parentheses around a bare name goes to that name's near side. The order is kept.
        """
        gaps: list[list[int]] = [[] for _ in range(len(call.arguments) + 1)]
        done = call.span.start
        for index, argument in enumerate(call.arguments):
            gaps[index] += self.within(done, argument.span.start)
            if isinstance(argument, Name):
                for number in self.inside(argument.span):
                    after = bool(gaps[index + 1]) or not self.own_line(number)
                    gaps[index + after].append(number)
            done = argument.span.end
        gaps[-1] += self.within(done, call.span.end)
        return gaps
