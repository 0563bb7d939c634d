"""The header of a file: which keys there are, what their values may be, and the defaults."""

from __future__ import annotations

from collections.abc import Callable

from autobertc.dsl.architecture import Sizes
from autobertc.dsl.source import Diagnostic, Source, Span, did_you_mean
from autobertc.dsl.tree import Header, HeaderEntry

MAX_HEAD_DIM = 256
_RATES = ("hidden_dropout", "attention_dropout", "kernel_dropout")
# Bounds far above any model, so that a slip of the hand ends in a message and not in an allocation.
_COUNTS = {
    "hidden": 65_536,
    "heads": 4_096,
    "intermediate": 1_048_576,
    "vocab": 10_000_000,
    "max_length": 10_000_000,
    "embedding": 65_536,
    "types": 1_024,
}
_KEYS = (*_COUNTS, "dropout", *_RATES)

Report = Callable[[Diagnostic], None]


def read_integer(text: str, largest: int) -> int | None:
    """The integer from 1 to `largest` that the text is, or None. A number of any length is refused in no time."""
    if not text.isascii() or not text.isdigit() or len(text.lstrip("0")) > len(str(largest)):
        return None
    value = int(text.lstrip("0") or "0")
    return value if 1 <= value <= largest else None


def _rate(text: str) -> float | None:
    if len(text) > 40:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < 1.0 else None


def _read_entries(header: Header, source: Source, report: Report) -> dict[str, tuple[HeaderEntry, float]]:
    entries: dict[str, tuple[HeaderEntry, float]] = {}
    seen: dict[str, Span] = {}
    for entry in header.entries:
        if entry.key not in _KEYS:
            guess = did_you_mean(entry.key, _KEYS)
            hint = f"did you mean `{guess}`?" if guess else f"the keys are {', '.join(_KEYS)}"
            message = f"a header has no key `{entry.key[:60]}`"
            report(Diagnostic("error", message, entry.key_span, source, (), hint))
            continue
        if entry.key in seen:
            line, _ = source.position(seen[entry.key].start)
            message = f"`{entry.key}` is given twice, first on line {line}"
            report(Diagnostic("error", message, entry.key_span, source))
            continue
        seen[entry.key] = entry.key_span
        value: float | None
        if entry.key in _COUNTS:
            value = read_integer(entry.value, _COUNTS[entry.key])
            expected = f"an integer from 1 to {_COUNTS[entry.key]}"
        else:
            value = _rate(entry.value)
            expected = "a number from 0 to below 1"
        if value is None:
            found = entry.value if len(entry.value) <= 40 else entry.value[:20] + f"… ({len(entry.value)} characters)"
            message = f"`{entry.key}` must be {expected}, found {found}"
            report(Diagnostic("error", message, entry.value_span, source))
        else:
            entries[entry.key] = (entry, value)
    return entries


def read_sizes(header: Header | None, source: Source, report: Report) -> Sizes:
    """The sizes a header gives, defaults filled in.

    Every fault goes to `report`; what is returned then only serves to go on checking. heads = hidden / 64 and
    intermediate = 4 * hidden where they are not given; the rest are BERT's.
    """
    entries = _read_entries(header, source, report) if header else {}
    values = {key: value for key, (_, value) in entries.items()}

    def span_of(*keys: str) -> Span | None:
        for key in keys:
            if key in entries:
                return entries[key][0].value_span
        return header.span if header else None

    hidden = int(values.get("hidden", 768))
    heads = int(values.get("heads", max(1, hidden // 64)))
    if "heads" not in values and hidden % 64:
        message = f"`heads` must be given where `hidden` ({hidden}) is not a multiple of 64"
        report(Diagnostic("error", message, span_of("hidden"), source))
    elif hidden % heads:
        message = f"`hidden` must be a multiple of `heads`, found {hidden} and {heads}"
        report(Diagnostic("error", message, span_of("heads", "hidden"), source))
    elif hidden // heads > MAX_HEAD_DIM:
        message = f"the head width, hidden / heads, is at most {MAX_HEAD_DIM}, found {hidden // heads}"
        hint = f"use at least {-(-hidden // MAX_HEAD_DIM)} heads"
        report(Diagnostic("error", message, span_of("heads", "hidden"), source, (), hint))
    rate = values.get("dropout", 0.1)
    return Sizes(
        hidden=hidden,
        heads=heads,
        intermediate=int(values.get("intermediate", 4 * hidden)),
        vocab=int(values.get("vocab", 30522)),
        max_length=int(values.get("max_length", 512)),
        embedding=int(values["embedding"]) if "embedding" in values else None,
        types=int(values.get("types", 2)),
        hidden_dropout=values.get("hidden_dropout", rate),
        attention_dropout=values.get("attention_dropout", rate),
        kernel_dropout=values.get("kernel_dropout", rate),
    )
