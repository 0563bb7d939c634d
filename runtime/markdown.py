"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], labels: int | None = None) -> str:
    """A table, without a newline at its end.

    Args:
        columns: their heads.
        rows: of as many cells each; a `|` in one is escaped.
        labels: so many columns from the left are words, the others numbers, which are set right; None: words alone.
    """
    words = len(columns) if labels is None else labels
    rule = ["---" if place < words else "---:" for place in range(len(columns))]
    return "\n".join(_line(cells) for cells in (columns, rule, *rows))


def _line(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
