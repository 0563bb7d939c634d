"""Entries that train, at a scale smaller than the smallest; runs that are found again; real and stand-in tasks."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autobertc.dsl.errors import UserError
from autobertc.runtime.reproduction import reasons, runs, scoring, tasks
from autobertc.runtime.reproduction.entries import figure5, table7
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.reproduction.paper import GLUE, TABLE5, Row
from autobertc.runtime.reproduction.runs import Scores
from autobertc.runtime.tasks.squad import read_layout
from autobertc.runtime.tasks.standins import Document

ROWS = (TABLE5[0], TABLE5[3])


@pytest.mark.slow
def test_rows_are_trained_and_scored_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scoring.score_rows(context, ROWS)
    assert found.table.header == ("model", "GLUE: paper", "shuffled: ours", "mean: ours")
    assert [row[:2] for row in found.table.rows] == [("BERT-base", "83.1"), ("AutoBERT-Zero", "86.3")]
    assert all(0 <= float(cell) <= 100 for row in found.table.rows for cell in row[2:])
    assert "No order is stated" in found.findings[0]  # two steps: they know word frequencies at most
    said = " ".join(found.reasons)
    assert "2 steps" in said and "16 wide, not 768" in said and "stand-ins" in said and "default:manual" in said

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("autobertc.runtime.training.pretraining.make_trainer", forbidden)
    monkeypatch.setattr("autobertc.runtime.training.finetuning.run_task", forbidden)
    assert scoring.score_rows(context, ROWS) == found
    with pytest.raises(AssertionError, match="trained again"):
        runs.pretrained(replace(context, seed=1), "bert-base")


@pytest.mark.slow
def test_questions(context: Context) -> None:
    chosen, real = tasks.squad_tasks(context)
    assert not real and [task.name for task in chosen] == ["squad", "squad_v2"]
    folder, _ = runs.pretrained(context, "autobert-zero-base")
    found = runs.scored_spans(context, folder, chosen)
    assert set(found.columns) == {"squad em", "squad f1", "squad_v2 em", "squad_v2 f1"}
    assert all(0 <= value <= 100 for value in found.columns.values())


@pytest.mark.slow
def test_token_uniformity(context: Context) -> None:
    section = figure5.make(context)
    assert section.figures == ("uniformity.png",) and (context.figures / "uniformity.svg").is_file()
    assert len(section.tables[0].rows) == 2 and len(section.findings) == 2


def test_latency(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from autobertc.runtime.analysis.latency import measure_latency
    from autobertc.runtime.reproduction.backbones import Widths, fitted

    tiny = fitted("autobert-zero-base", Widths(16, 2, 32, 500, 128, 8))
    monkeypatch.setattr("autobertc.runtime.analysis.latency.peak", lambda *_: 10**9)
    monkeypatch.setattr(table7, "measure_latency", lambda _, *rest, **limits: measure_latency(tiny, *rest, **limits))
    section = table7.make(context)
    assert section.tables[0].rows[1][:3] == ("AutoBERT-Zero", "104M", "103.6M")
    assert section.tables[1].rows[2][1] == "0.93" and section.tables[1].rows[2][4] == "1.00"
    assert any("batch is 2" in reason for reason in section.reasons)


def test_cloze_answers_stand_where_they_say(context: Context) -> None:
    chosen, _ = tasks.squad_tasks(context)
    rows = read_layout(Path(chosen[0].data[0]))
    assert len(rows) == 8
    for row in rows:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
        assert row["question"].replace("...", text, 1) in row["context"]
    second = read_layout(Path(chosen[1].data[0]))
    assert [not row["answers"]["text"] for row in second] == [number % 3 == 2 for number in range(8)]
    with pytest.raises(UserError, match="too little text"):
        tasks.cloze([Document((((0, "One sentence of six words here."),),), 0)], random.Random(0), 3, False)


def test_glue_out_of_a_folder(context: Context, tmp_path: Path) -> None:
    (tmp_path / "glue").mkdir()
    given = replace(context, data=tmp_path / "glue")
    chosen, real = tasks.glue_tasks(given)
    assert real and [task.name for task in chosen if task.name == "wnli"] == [] and len(chosen) == 8
    with pytest.raises(UserError, match="glue has no file for any split"):
        chosen[0].load()
    folder = tmp_path / "glue" / "cola"
    folder.mkdir()
    for split in ("train", "validation"):
        lines = [f"a sentence of row {n}\t{n % 2}" for n in range(30)]
        (folder / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    assert {name: len(rows) for name, rows in chosen[0].load().items()} == {"train": 8, "validation": 8}
    assert len(chosen[0].load()["train"]) == 8


def test_glue_beside_the_paper_s() -> None:
    scores = {row.example or "": Scores(dict.fromkeys(GLUE, 50.0 + i), 50.0 + i) for i, row in enumerate(TABLE5)}
    table = scoring._glue_table(TABLE5, scores)
    assert table.rows[3][0:2] == ("AutoBERT-Zero", "64.5 / 53.0") and table.rows[3][-1] == "86.3 / 53.0"
    left = {name: {"mlm_loss": 3.0, "unigram_entropy": 6.0} for name in scores}
    (said,) = scoring.order_findings(TABLE5, scores, left)
    expected = np.mean(
        [np.sign((83.1, 84.8, 73.3, 86.3)[j] - (83.1, 84.8, 73.3, 86.3)[i]) for i in range(4) for j in range(i + 1, 4)]
    )
    assert "AutoBERT-Zero; also here" in said and f"{expected:.2f}" in said
    on = {**left, "bert-base": {"mlm_loss": 5.9, "unigram_entropy": 6.0}}
    assert reasons.on_plateau(on) == ["bert-base"]
    assert "1 of 4 models" in scoring.order_findings(TABLE5, scores, on)[0]
    assert reasons.of_rows([Row("a", note="b"), Row("c")]) == ["a: b."]
