"""The paper's numbers: internally consistent, and what of them is exact comes out."""

from __future__ import annotations

import pytest

from autobertc.runtime.flops import electra_flops
from autobertc.runtime.reproduction import paper
from autobertc.runtime.reproduction.backbones import example
from autobertc.runtime.reproduction.entries import figure7, table6
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.reproduction.scoring import parameters, scientific, size_table, structure_table


@pytest.mark.parametrize("row", [*paper.TABLE2, paper.TABLE2_STARRED, *paper.TABLE5], ids=lambda row: row.title)
def test_averages_are_of_their_columns(row: paper.Row) -> None:
    """A number typed in wrong shows; of Conv-only the paper's own average is 0.2 off."""
    assert row.average == pytest.approx(
        sum(row.scores) / len(paper.GLUE), abs=0.25 if row.title == "Conv-only" else 0.06
    )


@pytest.mark.parametrize("row", [*paper.TABLE2, *paper.TABLE2_LARGE, *paper.TABLE4], ids=lambda row: row.title)
def test_whole_models(row: paper.Row) -> None:
    """Within 2%; the paper rounds BERT-large's 335M and AutoBERT-Zero-large's 314M up."""
    assert row.example is not None and row.parameters is not None
    expected = {340: 335, 318: 314}.get(int(row.parameters), row.parameters)
    assert parameters(row.example) / 1e6 == pytest.approx(expected, rel=0.02 if row.parameters > 50 else 0.05)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("bert-base", 21.3), ("autobert-zero-base", 15.4), ("autobert-zero-attention-only", 16.5)],
)
def test_attention_structures(name: str, millions: float) -> None:
    assert parameters(name, "structure") / 1e6 == pytest.approx(millions, rel=0.005)
    assert {row.example: row.structure for row in paper.TABLE5}[name] == millions


def test_flops() -> None:
    assert scientific(electra_flops(example("bert-base"), 128).total) == scientific(2.9e10) == "2.9e10"
    assert (scientific(9.96e9), scientific(None)) == ("1.0e10", "-")
    table = size_table(paper.TABLE2)
    assert table.rows[0][:5] == ("BERT-base (ours)", "110M", "109.5M", "2.9e10", "2.9e10")
    assert len(table.rows) == 5 and all(len(row) == len(table.header) for row in table.rows)
    assert structure_table(paper.TABLE5).rows[2] == ("Conv-only", "15.4M", "14.2M")


def test_hyperparameters(context: Context) -> None:
    """All of Table 6 but the small models' embeddings."""
    section = table6.make(context)
    assert section.findings == ("Different: Word embedding dim.",)
    assert section.tables[0].rows[2] == ("Word embedding dim", "256", "128", "768", "768", "1024", "1024")


def test_architecture(context: Context) -> None:
    section = figure7.make(context)
    assert "are the paper's" in section.findings[0] and len(section.tables[0].rows) == 12
    assert {path.name for path in context.figures.iterdir()} == {"backbone.png", "backbone.svg"}
