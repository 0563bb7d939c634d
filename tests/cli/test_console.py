"""How wide tables are that go to no terminal."""

from __future__ import annotations

import pytest

from autobertc.cli.console import WIDTH, standard_output


def test_without_a_terminal_a_table_is_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert standard_output().width == WIDTH


def test_columns_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert standard_output().width == 50
