"""Fine-tuning: a task that is learnt, every kind of head, grids and seeds, files, and faults before training."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import autobertc
from datasets import Dataset
from training_runs import silent, tiny_run
from transformers import AutoModelForSequenceClassification

from autobertc.dsl.errors import UserError
from autobertc.runtime import tasks
from autobertc.runtime.metrics.glue import AVERAGED
from autobertc.runtime.tasks.base import Task
from autobertc.runtime.tasks.custom import custom_task
from autobertc.runtime.training import finetuning, task_runs
from autobertc.runtime.training.finetuning import Finetuning, finetune
from autobertc.runtime.training.models import load_model
from autobertc.runtime.training.prediction import predict
from autobertc.runtime.training.pretraining import pretrain

QUICK = Finetuning(learning_rates=(3e-3,), epochs=3, batch=8, length=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    pretrain(tiny_run("modern", {"steps": 2}, held_out=0.0), folder, say=silent)
    return str(folder)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad, told by a word."""
    rng, path = random.Random(0), tmp_path_factory.mktemp("data") / "reviews.csv"
    fillers = ["the", "class", "of", "list", "is", "not", "object", "with", "name", "module"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "stars"])
        for number in range(160):
            words = rng.sample(fillers, 4)
            words.insert(rng.randrange(5), "true" if number % 2 else "false")
            writer.writerow([" ".join(words), "good" if number % 2 else "bad"])
    return path


@pytest.fixture(scope="module")
def learnt(model: str, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    output = tmp_path_factory.mktemp("results") / "out"
    settings = Finetuning(
        learning_rates=(1e-9, 3e-3), weight_decays=(0.01,), epochs=4, batch=8, length=16, seeds=2, save_models=True
    )
    return output, finetune(model, [custom_task([str(reviews)], ["text"], "stars")], settings, output, say=silent)


def test_a_task_is_learnt_by_the_better_of_the_grid(learnt: tuple[Path, dict[str, Any]]) -> None:
    output, results = learnt
    found = results["tasks"]["custom"]
    assert [(point["learning_rate"], len(point["values"])) for point in found["grid"]] == [(1e-9, 2), (3e-3, 2)]
    best = found["best"]
    assert best["learning_rate"] == 3e-3 and best["median"] == np.median(best["values"]) > 0.9
    assert best["min"] == min(best["values"]) and best["max"] == max(best["values"])
    assert 0.5 <= found["majority"] < 0.9 and found["metric"] == "accuracy"
    assert json.loads((output / "results.json").read_text()) == json.loads(json.dumps(results))
    lines = (output / "custom" / "predictions" / "custom-validation.tsv").read_text().splitlines()
    assert len(lines) == 17 and lines[1].split("\t")[1] in ("good", "bad")


def test_the_best_model_is_kept_and_loads(learnt: tuple[Path, dict[str, Any]]) -> None:
    folder = learnt[0] / "custom" / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    assert model.config.id2label == {0: "bad", 1: "good"}
    again = finetuning.check_model(str(folder))[1]
    logits = model.eval()(**again("the true class of", return_tensors="pt")).logits
    assert logits.argmax().item() == 1


def test_equal_seeds_equal_results(model: str, reviews: Path, tmp_path: Path) -> None:
    task = custom_task([str(reviews)], ["text"], "stars")
    one, two = (finetune(model, [task], QUICK, tmp_path / name, say=silent) for name in "ab")
    assert one["tasks"]["custom"]["best"] == two["tasks"]["custom"]["best"]


def test_what_is_interrupted_keeps_the_runs_that_are_done(model: str, reviews: Path, tmp_path: Path) -> None:
    task = custom_task([str(reviews)], ["text"], "stars")
    settings = Finetuning(learning_rates=(1e-9, 3e-3), epochs=1, batch=8, length=16, seeds=2)
    whole = finetune(model, [task], settings, tmp_path / "whole", say=silent)
    original, started = task_runs._run_once, []

    def counted(work: Any, rate: float, decay: float, seed: int, bars: bool) -> Any:
        started.append((rate, seed))
        if len(started) == 4:
            raise KeyboardInterrupt
        return original(work, rate, decay, seed, bars)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runs, "_run_once", counted)
        with pytest.raises(KeyboardInterrupt):
            finetune(model, [task], settings, tmp_path / "out", say=silent)
        kept = sorted(path.name for path in (tmp_path / "out" / "custom.runs").glob("*.safetensors"))
        assert len(kept) == 2, "the best of each point of the grid"
        with pytest.raises(UserError, match="made with other settings"):
            finetune(model, [task], QUICK, tmp_path / "out", resume=True, say=silent)
        again = finetune(model, [task], settings, tmp_path / "out", resume=True, say=silent)
    assert started == [(1e-9, 0), (1e-9, 1), (3e-3, 0), (3e-3, 1), (3e-3, 1)]
    for result in (whole, again):
        del result["tasks"]["custom"]["seconds"]
    assert again == whole and sorted(path.name for path in (tmp_path / "out").iterdir()) == ["custom", "results.json"]
    predictions = [(tmp_path / name / "custom" / "predictions" / "custom-validation.tsv") for name in ("whole", "out")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()


def test_evaluations_between_and_the_best_of_them(model: str, reviews: Path, tmp_path: Path) -> None:
    task = custom_task([str(reviews)], ["text"], "stars")
    settings = Finetuning(learning_rates=(3e-3,), epochs=1, batch=8, length=16, eval_every=4)
    seen: list[float] = []
    original = task_runs.TaskWork.main_score

    def noted(self: Any, scores: Any) -> float:
        seen.append(original(self, scores))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runs.TaskWork, "main_score", noted)
        result = finetune(model, [task], settings, tmp_path / "out", say=silent)
    assert len(seen) == 5 and result["tasks"]["custom"]["best"]["median"] == max(seen)


@pytest.fixture
def uneven(tmp_path: Path) -> Task:
    """Texts of 1 to 12 words."""
    path = tmp_path / "uneven.csv"
    rows = [f"{'class ' * (1 + 5 * number % 12)},{number % 2}" for number in range(400)]
    path.write_text("\n".join(["text,label", *rows]))
    return custom_task([str(path)], ["text"])


def test_batches_of_like_length_have_less_padding(model: str, uneven: Task, tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = []
    original = type(uneven).collator

    def noted(self: Any, tokenizer: Any) -> Any:
        collate = original(self, tokenizer)

        def collated(rows: Any) -> Any:
            batch = collate(rows)
            if "labels" in rows[0]:  # not for predictions
                shapes.append(tuple(batch["input_ids"].shape))
            return batch

        return collated

    tokens = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(uneven), "collator", noted)
        for grouped in (False, True):
            settings = Finetuning((1e-3,), epochs=1, batch=8, length=64, group_by_length=grouped)
            shapes.clear()
            finetune(model, [uneven], settings, tmp_path / str(grouped), say=silent)
            assert sum(rows for rows, _ in shapes) == 360, "all rows once, a tenth being held out"
            tokens.append(sum(rows * width for rows, width in shapes))
    assert tokens[1] < 0.75 * tokens[0]


def test_predictions_are_in_the_order_of_the_rows(model: str, uneven: Task) -> None:
    _, tokenizer = finetuning.check_model(model)
    features = uneven.encode(uneven.load()["train"], tokenizer, 64, training=False)
    loaded = load_model(model, uneven, 0)
    one, eight = (predict(loaded, features, uneven.collator(tokenizer), batch) for batch in (1, 8))
    assert one.shape == (len(features), 2) and np.abs(one - eight).max() < 1e-5 < np.ptp(one[:, 0])


def _glue(folder: Path) -> Path:
    """The nine tasks, a dozen rows each, and WNLI."""
    texts = ("The class of an object.", "A list is not a name.", "This function returns.", "Modules are objects.")
    for name in tasks.GLUE:
        task = tasks.find(name)
        splits = ["train", "validation", "test"]
        if name == "mnli":
            splits = ["train", *(f"{kind}_{m}" for kind in splits[1:] for m in ("matched", "mismatched"))]
        (folder / name).mkdir(parents=True)
        for split in splits:
            rows = []
            for number in range(12):
                label: Any = number % len(task.labels) if task.labels else number * 0.4  # type: ignore[attr-defined]
                columns = {column: texts[(number + i) % 4] for i, column in enumerate(task.columns)}  # type: ignore[attr-defined]
                rows.append(columns | {"label": -1 if split.startswith("test") else label, "idx": number})
            Dataset.from_list(rows).to_parquet(str(folder / name / f"{split}.parquet"))
    return folder


def test_glue_its_average_and_mnli_s_model(model: str, tmp_path: Path) -> None:
    data = _glue(tmp_path / "glue")
    chosen = [tasks.find(name, str(data)) for name in tasks.GLUE]
    settings = Finetuning(learning_rates=(1e-4,), epochs=1, batch=4, length=16)
    results = finetune(model, chosen, settings, tmp_path / "out", say=silent)
    found = results["tasks"]
    assert set(results["glue"]["numbers"]) == set(AVERAGED)
    assert results["glue"]["average"] == pytest.approx(np.mean(list(results["glue"]["numbers"].values())))
    mnli = str(tmp_path / "out" / "mnli" / "model")
    starts = {name: result["settings"]["model"] for name, result in found.items()}
    assert {name for name, start in starts.items() if start == mnli} == {"rte", "stsb", "mrpc"}
    assert {"MNLI-m.tsv", "MNLI-mm.tsv"} <= {p.name for p in (tmp_path / "out" / "mnli" / "predictions").iterdir()}
    said: list[str] = []
    assert finetune(model, chosen, settings, tmp_path / "out", resume=True, say=said.append) == results and not said
    with pytest.raises(UserError, match="made with other settings"):
        other = Finetuning(learning_rates=(1e-4,), epochs=2, batch=4, length=16)
        finetune(model, chosen, other, tmp_path / "out", resume=True, say=silent)


def _squad(folder: Path) -> list[str]:
    context = "The class of an object is a name. " * 12 + "A module holds functions and a list of them."
    paths = []
    for split in ("train", "dev"):
        questions = [
            {
                "id": f"{split}{number}",
                "question": "What is held?",
                "answers": [{"text": text, "answer_start": context.index(text)}],
            }
            for number, text in enumerate(["functions", "an object", "a list"])
        ]
        layout = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": questions}]}]}
        paths.append(folder / f"{split}.json")
        paths[-1].write_text(json.dumps(layout))
    return [str(path) for path in paths]


@pytest.mark.parametrize("name", ["squad", "squad_v2"])
def test_spans(model: str, tmp_path: Path, name: str) -> None:
    task = tasks.find(name, *_squad(tmp_path))
    said: list[str] = []
    settings = Finetuning(epochs=1, batch=4, learning_rates=(1e-3,))
    results = finetune(model, [task], settings, tmp_path / "out", say=said.append)
    assert 0 <= results["tasks"][name]["best"]["median"] <= 1
    assert any("length 64, as many positions as the model has, not 384" in line for line in said)
    written = json.loads((tmp_path / "out" / name / "predictions" / f"{name}-validation-predictions.json").read_text())
    assert set(written) == {"dev0", "dev1", "dev2"}


@pytest.mark.parametrize("name", ["missing-word", "same-paragraph"])
def test_choices_and_numbers(model: str, tmp_path: Path, name: str) -> None:
    settings = Finetuning(epochs=0.005, batch=16, length=32, learning_rates=(1e-4,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autobertc.runtime.tasks.standins.MAX_ROWS", {"train": 400, "validation": 40, "test": 40})
        results = finetune(model, [tasks.find(name, "default:manual")], settings, tmp_path / "out", say=silent)
    found = results["tasks"][name]
    assert found["test"]["test"].keys() == found["best"]["scores"][0]["validation"].keys()


def test_a_point_that_diverges_is_passed_over(model: str, reviews: Path, tmp_path: Path) -> None:
    task = custom_task([str(reviews)], ["text"], "stars")
    settings = Finetuning(learning_rates=(1e30, 1e-3), epochs=1, batch=8, length=16)
    grid = finetune(model, [task], settings, tmp_path / "out", say=silent)["tasks"]["custom"]["grid"]
    assert grid[0]["median"] is None and grid[0]["values"] == [None] and grid[1]["median"] is not None
    with pytest.raises(UserError, match="diverged; try a lower learning rate"):
        finetune(model, [task], Finetuning(learning_rates=(1e30,), length=16), tmp_path / "other", say=silent)
    assert not (tmp_path / "other" / "custom").exists()


def test_the_paper_s_numbers() -> None:
    squad = Finetuning().of(tasks.find("squad_v2"))
    assert (squad["epochs"], squad["batch"], squad["length"]) == (2, 48, 384)
    usual = Finetuning().of(tasks.find("rte"))
    assert (usual["epochs"], usual["batch"], usual["length"], usual["seeds"]) == (3, 32, 128, [0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        found = Finetuning().of(tasks.find("rte"))
    assert len(found["learning_rates"]) == 6 and found["weight_decays"] == [0.1, 0.01]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Finetuning(length=65), "the model has 64 positions"),
        (Finetuning(batch=0), "must be above 0"),
        (Finetuning(learning_rates=(-1.0,)), "learning rates must be above 0"),
    ],
)
def test_faults_of_settings(model: str, tmp_path: Path, settings: Finetuning, message: str) -> None:
    with pytest.raises(UserError, match=message):
        finetune(model, [tasks.find("shuffled")], settings, tmp_path / "out", say=silent)
    assert not list(tmp_path.iterdir())


def test_faults_of_models(model: str, emitted: Any, tmp_path: Path) -> None:
    chosen: list[Task] = [tasks.find("shuffled")]
    with pytest.raises(UserError, match="has no tokenizer"):
        finetune(str(emitted("bert")), chosen, QUICK, tmp_path / "out", say=silent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"it has no config\.json"):
        finetune(str(tmp_path / "empty"), chosen, QUICK, tmp_path / "out", say=silent)
    with pytest.raises(UserError, match="cannot load the model"):
        finetune("no/such/model", chosen, QUICK, tmp_path / "out", say=silent)


def test_the_command(model: str, reviews: Path, tmp_path: Path) -> None:
    options = ["--data", reviews, "--text", "text", "--label", "stars", "--lr", "3e-3", "--epochs", "1", "--batch", "8"]
    done = autobertc("finetune", model, "-o", tmp_path / "out", *options, "--length", "16", "--task", "reviews")
    assert "reviews" in done.stdout and "accuracy" in done.stdout and "wrote" in done.stdout
    again = [*options, "--length", "16", "--task", "reviews", "--resume", "--json"]
    table = autobertc("finetune", model, "-o", tmp_path / "out", *again)
    assert json.loads(table.stdout)["tasks"]["reviews"]["metric"] == "accuracy"
    for wrong, message in (
        (["--task", "mrcp"], "did you mean `mrpc`"),
        ([], "give --task"),
        (["--task", "shuffled", "--lr", "much"], "--lr takes numbers"),
        (["--text", "text"], "has --data"),
        (["--data", str(reviews), "--text", "txt", "--label", "stars"], "did you mean 'text'"),
    ):
        assert message in autobertc("finetune", model, "-o", tmp_path / "none", *wrong, expect=1).stderr
    assert not (tmp_path / "none").exists()


def test_the_pretrain_command(tmp_path: Path) -> None:
    genome = tmp_path / "tiny.abz"
    genome.write_text(
        "model tiny {\n  hidden: 32  heads: 2  intermediate: 64  vocab: 500  max_length: 64\n}\nconv: 3\n"
    )
    options = ["--data", "default:manual", "--steps", "2", "--batch", "4", "--length", "32", "--held-out", "0"]
    done = autobertc("pretrain", genome, "-o", tmp_path / "run", *options)
    assert "unigram entropy" in done.stdout and "step 2/2" in done.stdout and "wrote" in done.stdout
    assert "is there already" in autobertc("pretrain", genome, "-o", tmp_path / "run", *options, expect=1).stderr
    assert "did you mean" in autobertc("pretrain", genome, "-o", tmp_path / "b", "--preset", "smal", expect=1).stderr
