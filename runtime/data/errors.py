"""What is wrong with data, in words for a user."""

from __future__ import annotations

from collections.abc import Iterable

from autobertc.dsl.errors import UserError
from autobertc.dsl.source import did_you_mean, shorten, visible


class DataError(UserError):
    """Data that cannot be had or used: one message that says what to do."""


def reason(error: BaseException) -> str:
    """The first line of what a library says, of the error that began it."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return shorten(visible(line.strip()), 300)


def unknown(what: str, name: str, known: Iterable[str]) -> DataError:
    """There is no such thing; the nearest name, or all of them."""
    known = list(known)
    guess = did_you_mean(name, known)
    hint = f"did you mean `{guess}`?" if guess else f"choose one of {', '.join(known)}"
    return DataError(f"there is no {what} {shorten(visible(name))!r}: {hint}")


def require_columns(where: str, columns: Iterable[str], wanted: Iterable[str]) -> None:
    """Raise `DataError` naming the first column that is not there, and those that are."""
    columns = list(columns)
    for name in wanted:
        if name not in columns:
            guess = did_you_mean(name, columns)
            hint = f"; did you mean {guess!r}?" if guess else ""
            there = ", ".join(repr(shorten(visible(column))) for column in columns[:20]) or "none"
            raise DataError(f"{where} has no column {name!r}, only {there}{hint}")
