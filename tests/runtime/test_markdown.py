"""Tables as Markdown."""

from __future__ import annotations

from autobertc.runtime.markdown import markdown_table


def test_numbers_are_set_right_and_pipes_escaped() -> None:
    table = markdown_table(["task", "tau"], [["a|b", "0.50"]], labels=1)
    assert table == "| task | tau |\n| --- | ---: |\n| a\\|b | 0.50 |"


def test_words_alone() -> None:
    assert markdown_table(["a", "b"], []) == "| a | b |\n| --- | --- |"
