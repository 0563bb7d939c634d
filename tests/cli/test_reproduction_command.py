"""reproduce: the list, an exact entry, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from command_line import autobertc, tree


def test_the_list() -> None:
    shown = autobertc("reproduce", "--list").stdout
    for word in ("table2", "table7", "figure5", "figure8", "table2-search", "smoke", "paper"):
        assert word in shown


def test_exact_entries(tmp_path: Path) -> None:
    done = autobertc("reproduce", "table", "6", "-o", tmp_path / "docs", "--runs", tmp_path / "runs")
    assert f"wrote {tmp_path}" in done.stdout.replace("\n", "")
    made = ["docs", "docs/reproduction", "docs/reproduction.md", "docs/reproduction/table6-laptop.json"]
    assert tree(tmp_path) == made
    text = (tmp_path / "docs" / "reproduction.md").read_text()
    assert "## Table 6" in text and "## Not run yet" in text


def test_refusals(tmp_path: Path) -> None:
    def error(*arguments: str) -> str:
        return autobertc("reproduce", *arguments, "-o", tmp_path / "docs", expect=1).stderr

    assert "did you mean `smoke`" in error("table6", "--scale", "smok")
    assert "name a table or figure" in error()
    assert "there is no folder" in error("table6", "--data", str(tmp_path / "none"))
    assert "did you mean" in error("tabel6")
    assert tree(tmp_path) == []
