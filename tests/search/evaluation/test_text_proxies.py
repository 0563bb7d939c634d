"""Proxies on text: masked-LM loss, and tasks that are fine-tuned on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from jobs import SIZES, first_snapshot, job
from tiny import keep_code_away

from autobertc.dsl.errors import UserError
from autobertc.search.biws.snapshots import read_tensors
from autobertc.search.evaluation.candidate import evaluate

WORDS = replace(SIZES, vocab=400)
TEXT = {"proxy": "masked-lm", "sources": ("default:manual",), "tasks": (), "length": 24, "sizes": WORDS}


def test_masked_lm(tmp_path: Path) -> None:
    start, output = first_snapshot(tmp_path, WORDS, head="pre-training"), tmp_path / "0.safetensors"
    result = evaluate(job(snapshot=str(start), output=str(output), **TEXT))
    assert result.state == "complete" and result.values == (-result.scores["mlm_loss"],)
    assert 4 < result.scores["mlm_loss"] < 7  # ln 400 is 6
    assert 0 <= result.scores["mlm_accuracy"] <= 1 and 0 <= result.scores["nsp_accuracy"] <= 1
    assert {"bert.pooler.dense.weight", "cls.seq_relationship.weight"} <= set(read_tensors(output)[0])
    longer = evaluate(job(steps=40, **TEXT))
    assert longer.scores["mlm_loss"] < result.scores["mlm_loss"], "training helps"
    assert longer.scores == evaluate(job(steps=40, **TEXT)).scores
    words_alone = evaluate(job(next_sentence=False, **TEXT))
    assert "nsp_accuracy" not in words_alone.scores and words_alone.state == "complete"


def test_tasks() -> None:
    keep_code_away()
    settings = {**TEXT, "proxy": "tasks", "tasks": ("shuffled",), "task_data": ("default:manual",)}
    result = evaluate(job(finetune_epochs=0.02, finetune_batch=16, **settings))
    assert result.state == "complete", result.reason
    assert result.values == (result.scores["shuffled"],) and 0 <= result.values[0] <= 1
    assert "mlm_loss" in result.scores


def test_the_vocabulary_must_have_room() -> None:
    with pytest.raises(UserError, match="vocabulary of 4"):
        evaluate(job(**{**TEXT, "sizes": replace(SIZES, vocab=4)}))
