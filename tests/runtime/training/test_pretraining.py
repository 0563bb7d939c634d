"""A run from text to a folder: what it holds, how it resumes, where it stops."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import kill_training
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_runs import Interrupted, curves, interrupt, silent, tiny_run
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from autobertc.dsl.errors import UserError
from autobertc.runtime.training import checkpoints, preparation, rows
from autobertc.runtime.training.pretraining import pretrain
from autobertc.runtime.training.recipes import TrainingError
from autobertc.runtime.training.trainer import PretrainingTrainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, Any]]:
    folder, said = tmp_path_factory.mktemp("run") / "out", []
    metrics = pretrain(tiny_run(), folder, say=said.append)
    return folder, said, metrics


def test_the_folder_fills_masks(finished: tuple[Path, list[str], dict[str, Any]]) -> None:
    folder = finished[0]
    fill = pipeline("fill-mask", model=str(folder), trust_remote_code=True)
    assert len(fill("the [MASK] of a class")) == 5
    assert AutoTokenizer.from_pretrained(folder).model_max_length == 64
    assert not folder.with_name("out.training").exists()


def test_the_folder_says_what_it_is(finished: tuple[Path, list[str], dict[str, Any]]) -> None:
    folder, said, metrics = finished
    card = (folder / "README.md").read_text()
    for part in ("att: ", "default:manual", "learning rate", "held out mlm loss", "architecture.svg"):
        assert part in card
    assert (folder / "architecture.svg").is_file()
    assert {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy", "held_out_mlm_loss"} <= metrics.keys()
    windows = curves(folder)
    assert [window["step"] for window in windows] == [2, 4, 6, 8]
    for window in windows:
        assert window["loss"] == pytest.approx(window["mlm_loss"] + window["nsp_loss"], rel=1e-2)
    assert sum(line.startswith("step") for line in said) == 4
    assert json.loads((folder / "config.json").read_text())["hidden_dropout_prob"] == 0.1


def test_a_modern_run_begins_at_the_frequencies_of_words(tmp_path: Path) -> None:
    run = tiny_run("modern", {"learning_rate": 1e-9, "batch": 32})
    metrics = pretrain(run, tmp_path / "out", say=silent)
    assert metrics["held_out_mlm_loss"] == pytest.approx(metrics["held_out_unigram_loss"], rel=0.03)
    plain = replace(run, recipe=replace(run.recipe, unigram_bias=False))
    metrics = pretrain(plain, tmp_path / "plain", say=silent)
    assert metrics["held_out_mlm_loss"] == pytest.approx(np.log(512), rel=0.03)


def test_micro_batches_give_the_batch_s_gradient(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    pretrain(tiny_run(changes={"dropout": 0.0}), whole, say=silent)
    pretrain(tiny_run(changes={"dropout": 0.0}, micro_batch=2), cut, say=silent)
    for one, other in zip(curves(whole), curves(cut), strict=True):
        for name in ("mlm_loss", "nsp_loss", "grad_norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-5)


def test_resumed_is_the_same_bits(
    finished: tuple[Path, list[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, work = tmp_path / "out", tmp_path / "out.training"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 7)
        pretrain(tiny_run(), folder, say=silent)
    assert not folder.exists()
    with pytest.raises(UserError, match="unfinished run: go on with --resume"):
        pretrain(tiny_run(), folder, say=silent)
    with pytest.raises(UserError, match="other settings than it was started with: corpus, seed"):
        pretrain(tiny_run(seed=1), folder, resume=True, say=silent)
    # A later checkpoint that was being written is passed over.
    shutil.copytree(work / "checkpoints" / "checkpoint-4", work / "checkpoints" / "checkpoint-6")
    (work / "checkpoints" / "checkpoint-6" / checkpoints.SEAL).unlink()
    said: list[str] = []
    pretrain(tiny_run(), folder, resume=True, say=said.append)
    assert "passing over checkpoint-6: it is not whole" in said and "resuming after step 4" in said
    assert curves(folder) == curves(finished[0])
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder, finished[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert pretrain(tiny_run(), folder, resume=True, say=silent) == finished[2]
    with pytest.raises(UserError, match="it is there already"):
        pretrain(tiny_run(), folder, say=silent)


def test_a_loss_that_is_no_number_stops_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = PretrainingTrainer._losses

    def broken(self: Any, *arguments: Any) -> Any:
        loss, sums = original(self, *arguments)
        return (loss * float("nan") if self.state.global_step == 2 else loss), sums

    monkeypatch.setattr(PretrainingTrainer, "_losses", broken)
    with pytest.raises(TrainingError, match=r"the loss is not a finite number in step 3; epoch:example .*: 0:\d+, "):
        pretrain(tiny_run(micro_batch=4), tmp_path / "out", say=silent)
    saved = tmp_path / "out.training" / "non-finite-step-3"
    state = json.loads((saved / "state.json").read_text())
    assert state["step"] == 3 and len(state["examples"][0]["example"]) == 4
    assert torch.load(saved / "batch.pt", weights_only=True)["input_ids"].shape[0] == 4
    assert {"model.safetensors", "optimizer.pt", "rng_state.pth"} <= {path.name for path in saved.iterdir()}


def test_a_gradient_that_is_no_number_stops(tmp_path: Path) -> None:
    run = tiny_run(changes={"learning_rate": 1e30, "dropout": 0.0})
    with pytest.raises(TrainingError, match="is not a finite number in step"):
        pretrain(run, tmp_path / "out", say=silent)


def test_the_modern_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("modern", {"steps": 5, "precision": "bf16"}, log_every=1)
    pretrain(run, tmp_path / "out", say=silent)
    rates = [window["learning_rate"] for window in curves(tmp_path / "out")]
    assert rates[1] == rates[2] == rates[3] == pytest.approx(1e-3) and rates[-1] <= rates[1]
    assert "nsp_loss" not in curves(tmp_path / "out")[0]
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert model.dtype == torch.float32 and model.config.hidden_dropout_prob == 0.1


def test_epochs_and_a_vocabulary_that_fits() -> None:
    run = tiny_run(changes={"steps": None, "epochs": 2, "batch": 512}, held_out=0.0, vocab=300)
    prepared = preparation.prepare(run, say=silent)
    assert prepared.held_out is None and prepared.architecture.sizes.vocab == 320 and prepared.source is None
    assert prepared.steps == len(prepared.examples.dataset) // 512
    assert 0 < prepared.baselines["unigram_entropy"] < 5.8 and len(prepared.baselines) == 1


def test_baselines_are_those_of_the_tokens() -> None:
    corpus = preparation.prepare(tiny_run(held_out=0.0), say=silent).examples.dataset.corpus
    tokens = np.concatenate(corpus.chunks)
    shares = np.unique(tokens, return_counts=True)[1] / len(tokens)
    counts = rows.token_counts(corpus, 500)
    assert rows.unigram_loss(counts) == pytest.approx(-(shares * np.log(shares)).sum())
    other = np.zeros(500, np.int64)
    other[[7, 8]] = 3, 1
    losses = -np.log((counts + 1) / (len(tokens) + 500))
    assert rows.unigram_loss(counts, other) == pytest.approx((3 * losses[7] + losses[8]) / 4)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"micro_batch": 3}, {}, "not a multiple of 3"),
        ({}, {"length": 65}, "max_length 64"),
        ({"held_out": 1.5}, {}, "share held out"),
        ({"report_to": ("tensorbord",)}, {}, "did you mean `tensorboard`"),
        ({"tokenizer": Path("nowhere")}, {}, "no tokenizer folder"),
    ],
)
def test_faults_before_training(
    tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pretrain(tiny_run(changes=changes, **settings), tmp_path / "out", say=silent)
    assert not list(tmp_path.iterdir())


def test_a_place_to_report_to_without_its_package(tmp_path: Path, monkeypatch: Any) -> None:
    from autobertc.runtime.training import reports

    monkeypatch.setattr(reports, "get_available_reporting_integrations", list)
    with pytest.raises(UserError, match="its package is not installed"):
        pretrain(replace(tiny_run(), report_to=("tensorboard",)), tmp_path / "out", say=silent)


@pytest.mark.slow
def test_killed_three_times_it_ends_the_same(tmp_path: Path) -> None:
    kill_training.main(kills=3, steps=120, place=tmp_path)


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(own_cache: Path, tmp_path: Path) -> None:
    genome = tmp_path / "tiny.abz"
    genome.write_text(kill_training.GENOME)
    options = "--steps 20 --batch 8 --length 32 --lr 1e-3 --dropout 0 --log-every 1 --data default:manual"
    for name, launcher in (
        ("one", []),
        ("two", ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]),
    ):
        call = [sys.executable, "-m", *launcher, "autobertc", "pretrain", str(genome), "-o", str(tmp_path / name)]
        kill_training.finish([*call, *options.split()], own_cache)
    one, two = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("one", "two"))
    assert len(one["curves"]) == len(two["curves"]) == 20
    for ours, theirs in zip(one["curves"], two["curves"], strict=True):
        for name in ("loss", "mlm_loss", "nsp_loss", "mlm_accuracy", "grad_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5)
    assert one["metrics"] == pytest.approx(two["metrics"], rel=1e-4)
