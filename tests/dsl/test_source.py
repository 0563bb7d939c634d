"""Sources and diagnostics: reading files, places in a text, and how a message is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from autobertc.dsl.source import AbzError, Diagnostic, Source, Span, did_you_mean


def test_rendering() -> None:
    source = Source("a.abz", "conv: 3\n\tatt: f(Q,\n  K)\n")
    span = Span(source.text.index("f("), source.text.index(")") + 1)
    found = Diagnostic("warning", "odd", span, source, notes=("one", "two"), hint="do not")
    assert found.render() == (
        "a.abz:2:7: warning: odd\n  2 |     att: f(Q,\n    |          ^^^^\n    = one\n    = two\n    = help: do not"
    )
    assert Diagnostic("note", "plain", None, source).render() == "a.abz: note: plain"
    assert Diagnostic("error", "bare", None, None, notes=("n",)).render() == "error: bare\n  = n"


def test_a_long_line_shows_a_window() -> None:
    source = Source("a.abz", "x" * 5000 + "HERE" + "y" * 5000)
    _, line, carets = Diagnostic("error", "m", Span(5000, 5004), source).render().split("\n")
    assert line.startswith("  1 | …x") and line.endswith("y…") and len(line) < 120
    assert line[carets.index("^") : carets.rindex("^") + 1] == "HERE"
    _, line, carets = Diagnostic("error", "m", Span(5000, 10_000), source).render().split("\n")
    assert "HERE" in line and len(carets) < 120


def test_invisible_and_wide_characters() -> None:
    source = Source("\x1b[31m", "\x1b\u202e\u4e2d Q")
    assert Diagnostic("error", "a\x1bb", Span(4, 5), source).render() == (
        "\\x1b[31m:1:5: error: a\\x1bb\n  1 | \\x1b\\u202e\u4e2d Q\n    | " + " " * 13 + "^"
    )


def test_positions() -> None:
    source = Source("", "ab\n\x0b\u2028c\n")
    assert [source.position(offset) for offset in (0, 2, 3, 5, 6, 7)] == [
        (1, 1),
        (1, 3),
        (2, 1),
        (2, 3),
        (2, 4),
        (3, 1),
    ]


def test_did_you_mean() -> None:
    assert did_you_mean("sofmax", ["scale", "softmax"]) == "softmax"
    assert did_you_mean("KEY", ["key"]) == "key"
    assert did_you_mean("x", ["softmax"]) is None
    assert did_you_mean("x" * 10_000, ["x" * 10_000]) is None


def test_loading(tmp_path: Path) -> None:
    good = tmp_path / "good.abz"
    good.write_bytes(b"\xef\xbb\xbfconv: 3\r\n")
    assert Source.load(good).text == "conv: 3\n"

    def message(path: str | Path) -> str:
        with pytest.raises(AbzError) as caught:
            Source.load(path)
        (found,) = caught.value.diagnostics
        return found.render().removeprefix(f"{path}: error: ")

    assert message(tmp_path) == "is a directory, not a file"
    assert message(tmp_path / "none.abz") == "no such file"
    assert message(good / "below").startswith("cannot be read: ")
    assert "cannot be read" in message("a\0b")
    bad = tmp_path / "bad.abz"
    bad.write_bytes(b"conv: 3\n\xff")
    assert message(bad) == "not UTF-8: a bad byte at byte 8 (line 2)"
    bad.write_bytes(b"conv: 3\n\n\0")
    assert message(bad) == "not a text file: a NUL byte at byte 9 (line 3)"


def test_a_file_may_have_64_mebibytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobertc.dsl.source.MAX_FILE_BYTES", 2**20)
    large = tmp_path / "large.abz"
    large.write_bytes(b"\n" * (2**20 + 1))
    with pytest.raises(AbzError, match="larger than 1 MiB"):
        Source.load(large)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AbzError, match="error: permission denied"):
        Source.load(tmp_path / "a.abz")
