"""Entries found and named, and the page that they are written into."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autobertc.dsl.errors import UserError
from autobertc.runtime.reproduction import registry
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.page import reproduce
from autobertc.runtime.reproduction.scales import SCALES


def _section(context: Context) -> Section:
    (context.figures / "curve.png").write_bytes(b"picture")
    table = Table("Scores", ("model", "paper", "ours"), (("a|b", "1", "2"),))
    return Section(("Done so.",), (table,), ("curve.png",), (f"Found at {context.scale.name}.",), ("Because.",))


PACKAGES = (registry.OWN, "autobertc.search.reproduction")
ENTRY = Entry("figure5", "curves", _section, order=1)


def test_all_tables_and_figures_are_there() -> None:
    found = registry.entries(PACKAGES)
    wanted = {*(f"table{n}" for n in range(2, 8)), *(f"figure{n}" for n in range(5, 9))}
    assert set(found) == {*wanted, "gpu-hours", "table2-search"}
    assert list(found)[:2] == ["table2", "table2-search"]  # by `order`, not by package
    assert {name for name, entry in found.items() if entry.exact} == {"table6", "figure7"}


def test_names() -> None:
    found = registry.entries(PACKAGES)
    assert {registry.find(name, found).name for name in ("Table 2", "table-2", "table2")} == {"table2"}
    assert registry.find("fig. 5", found).name == "figure5" and registry.find("GPU hours", found).name == "gpu-hours"
    with pytest.raises(UserError, match="did you mean `table7`"):
        registry.find("tabel7", found)


def test_the_page(context: Context, tmp_path: Path) -> None:
    docs, among = tmp_path / "docs", {"figure5": ENTRY, "figure6": Entry("figure6", "searching", _section, order=2)}
    page = reproduce(ENTRY, context, docs, among)
    text = page.read_text()
    for line in (
        "## Figure 5: curves",
        "| model | paper | ours |",
        "| a\\|b | 1 | 2 |",
        "![curves](reproduction/figure5-smoke-curve.png)",
        "Found at smoke.",
        "- Because.",
        "Figure 6 (searching).",
    ):
        assert line in text
    assert (docs / "reproduction" / "figure5-smoke-curve.png").read_bytes() == b"picture"
    larger = replace(context, scale=SCALES["laptop"])
    reproduce(ENTRY, larger, docs, among)
    reproduce(ENTRY, context, docs, among)  # the smaller scale does not take the place of the larger
    text = page.read_text()
    assert "Found at laptop." in text and "Found at smoke." not in text
    assert len(list((docs / "reproduction").glob("*.json"))) == 2


def test_a_page_that_was_tampered_with(context: Context, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "reproduction").mkdir(parents=True)
    (docs / "reproduction" / "mine.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(UserError, match="is not what `autobertc reproduce` writes"):
        reproduce(ENTRY, context, docs, {"figure5": ENTRY})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not a folder"):
        reproduce(ENTRY, context, tmp_path / "file", {"figure5": ENTRY})
