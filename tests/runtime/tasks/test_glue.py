"""GLUE: each task on a folder of its layout, and every fault of such a folder one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import PreTrainedTokenizerFast

from autobertc.runtime import tasks
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.tasks import glue
from autobertc.runtime.tasks.base import SequenceTask

TEXT = ("The cat sat on the mat.", "A dog barked loudly.", "It is raining.", "All is well that ends well.")
# The benchmark's own: columns, number of classes, files to hand in.
BENCHMARK: dict[str, tuple[list[str], int, list[str], str]] = {
    "cola": (["sentence"], 2, ["CoLA.tsv"], "matthews"),
    "sst2": (["sentence"], 2, ["SST-2.tsv"], "accuracy"),
    "mrpc": (["sentence1", "sentence2"], 2, ["MRPC.tsv"], "f1"),
    "stsb": (["sentence1", "sentence2"], 0, ["STS-B.tsv"], "spearman"),
    "qqp": (["question1", "question2"], 2, ["QQP.tsv"], "f1"),
    "mnli": (["premise", "hypothesis"], 3, ["MNLI-m.tsv", "MNLI-mm.tsv"], "accuracy"),
    "qnli": (["question", "sentence"], 2, ["QNLI.tsv"], "accuracy"),
    "rte": (["sentence1", "sentence2"], 2, ["RTE.tsv"], "accuracy"),
    "wnli": (["sentence1", "sentence2"], 2, ["WNLI.tsv"], "accuracy"),
}


def splits_of(name: str) -> list[str]:
    if name != "mnli":
        return ["train", "validation", "test"]
    return ["train", "validation_matched", "validation_mismatched", "test_matched", "test_mismatched"]


def rows_of(name: str, split: str) -> list[dict[str, Any]]:
    columns, classes, _, _ = BENCHMARK[name]
    rows = []
    for number in range(12):
        label: Any = number % classes if classes else number * 0.4
        row: dict[str, Any] = {column: TEXT[(number + i) % 4] for i, column in enumerate(columns)}
        rows.append(row | {"label": -1 if split.startswith("test") else label, "idx": 11 - number})
    return rows


def write_task(folder: Path, name: str, kind: str = "parquet") -> Path:
    """A folder as the Hub's data set has it: a subfolder for the task, a file for each split."""
    place = folder / name
    place.mkdir(parents=True)
    for split in splits_of(name):
        table = Dataset.from_list(rows_of(name, split))
        if kind == "parquet":
            table.to_parquet(str(place / f"{split}-00000-of-00001.parquet"))
        elif kind == "csv":
            table.to_csv(str(place / f"{split}.csv"))
        else:
            table.to_json(str(place / f"{split}.jsonl"))
    return folder


def test_all_nine_are_there() -> None:
    assert set(tasks.GLUE) == set(BENCHMARK) == set(tasks.expand(["GLUE"])) and len(tasks.GLUE) == 9
    assert tasks.expand(["rte", "glue", "squad"]) == ["rte", *(name for name in tasks.GLUE if name != "rte"), "squad"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, kind) for name in BENCHMARK for kind in ("parquet", "hub")), ("cola", "csv"), ("stsb", "json")],
)
def test_a_task(
    name: str, kind: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, classes, files, metric = BENCHMARK[name]
    if kind == "hub":
        task = tasks.find(name)
        names = list(task.labels) if isinstance(task, SequenceTask) else []
        label: Any = ClassLabel(names=names) if classes else Value("float32")
        features = Features({c: Value("string") for c in columns} | {"label": label, "idx": Value("int32")})
        saved = DatasetDict({s: Dataset.from_list(rows_of(name, s), features=features) for s in splits_of(name)})
        given: list[Any] = []
        monkeypatch.setattr(glue, "read_hub", lambda *names: (given.append(names), saved)[1])
    else:
        task = tasks.find(name, str(write_task(tmp_path / "glue", name, kind)))
    splits = task.load()
    if kind == "hub":
        assert given == [("nyu-mll/glue", name, None)]
    assert list(splits) == splits_of(name) and task.head == "sequence-classification"
    assert task.num_labels == max(1, classes) and task.metrics[0] == metric
    assert task.evaluations(splits) == [split for split in splits_of(name) if split.startswith("validation")]

    for split in task.evaluations(splits):
        rows = splits[split]
        features = task.encode(rows, tokenizer, 32)
        for i, ids in enumerate(features["input_ids"]):
            assert ids == tokenizer(*(rows[column][i] for column in columns))["input_ids"]
        right = np.array(features["labels"])
        logits = np.eye(classes)[right] if classes else right[:, None]
        assert task.score(rows, features, logits)[metric] == pytest.approx(1)
        wrong = np.roll(logits, 1, axis=-1) if classes else -logits
        assert task.score(rows, features, wrong)[metric] < 0.5
        batch = task.collator(tokenizer)([features[i] for i in range(3)])
        assert batch["labels"].dtype.is_floating_point is (classes == 0)

    written = []
    for split in (split for split in splits if split.startswith("test")):
        features = task.encode(splits[split], tokenizer, 32)
        assert "labels" not in features.column_names
        with pytest.raises(DataError, match="no labels"):
            task.score(splits[split], features, np.zeros((12, max(1, classes))))
        numbers = np.arange(12)
        logits = np.eye(classes)[numbers % classes] if classes else numbers[:, None] - 3.0
        written += task.write_predictions(tmp_path / "out", split, splits[split], features, logits)
    assert [path.name for path in written] == files
    lines = [line.split("\t") for line in written[0].read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["index", "prediction"] and [line[0] for line in lines[1:]] == [str(i) for i in range(12)]
    words = {"mnli": ("entailment", "neutral", "contradiction"), "qnli": ("entailment", "not_entailment")}
    words["rte"] = words["qnli"]
    expected = [
        words.get(name, ("0", "1"))[i % classes] if classes else f"{min(5, max(0, i - 3)):.3f}" for i in range(12)
    ]
    assert [line[1] for line in lines[1:]] == expected[::-1]  # by index, and the rows have theirs backwards


def test_labels_by_name(tmp_path: Path) -> None:
    """A data set that orders the names of its classes otherwise means the same."""
    features = Features(
        {c: Value("string") for c in ("sentence1", "sentence2")}
        | {"label": ClassLabel(names=["not_entailment", "entailment"]), "idx": Value("int32")}
    )
    table = Dataset.from_list(rows_of("rte", "train"), features=features)
    DatasetDict(train=table, validation=table).save_to_disk(str(tmp_path / "rte"))
    loaded = tasks.find("rte", str(tmp_path)).load()["train"]
    assert [loaded.features["label"].int2str(label) for label in loaded["label"]] == [
        features["label"].int2str(label) for label in table["label"]
    ]
    assert loaded["label"][:2] == [1, 0]


# ---------------------------------------------------------------- faults


def fault(name: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        tasks.find(name, str(folder)).load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def rte(tmp_path: Path) -> Path:
    return write_task(tmp_path / "glue", "rte", "json")


def change(folder: Path, split: str, **columns: Any) -> None:
    path = folder / "rte" / f"{split}.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for name, value in columns.items():
        for row in rows if value == "gone" else rows[6:7]:
            if value == "gone":
                del row[name]
            else:
                row[name] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_missing_column(rte: Path) -> None:
    change(rte, "validation", sentence2="gone")
    assert "validation has no column 'sentence2', only 'sentence1', 'label', 'idx'" in fault("rte", rte)


def test_a_missing_label_column(rte: Path) -> None:
    change(rte, "train", label="gone")
    assert "train has no column 'label'" in fault("rte", rte)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_wrong_label(rte: Path, split: str) -> None:
    change(rte, split, label=2)
    where = "row 1: label '-1'" if split == "test" else "row 7: label '2'"  # a test split withholds all, or none
    assert f"{split}, {where} is none of entailment, not_entailment" in fault("rte", rte)


def test_a_withheld_training_label(rte: Path) -> None:
    change(rte, "train", label=-1)
    assert "train, row 7: label '-1' is none of" in fault("rte", rte)


def test_a_row_without_text(rte: Path) -> None:
    change(rte, "train", sentence1=None)
    assert "train, row 7: column 'sentence1' is empty" in fault("rte", rte)


def test_a_number_that_is_none(tmp_path: Path) -> None:
    folder = write_task(tmp_path, "stsb", "csv")
    path = folder / "stsb" / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",0.4,", ",good,"), encoding="utf-8")
    assert "train, row 2: label 'good' is not a number" in fault("stsb", folder)


def test_files(rte: Path, tmp_path: Path) -> None:
    (rte / "rte" / "test.jsonl").write_bytes(b'{"sentence1": "caf\xe9"}\n')
    assert "test.jsonl is not UTF-8: a bad byte in line 1, byte 18" in fault("rte", rte)
    (rte / "rte" / "test.jsonl").write_bytes(b"")
    assert "test.jsonl is empty" in fault("rte", rte)
    (rte / "rte" / "validation.jsonl").unlink()
    (rte / "rte" / "test.jsonl").unlink()
    assert "has no validation split for rte" in fault("rte", rte)
    assert "there is no folder" in fault("rte", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "has no file for any split: name them train.csv" in fault("rte", tmp_path / "empty")
    parquet = write_task(tmp_path / "truncated", "cola")
    path = parquet / "cola" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert "is not a whole Parquet file" in fault("cola", parquet)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("sst-5", "sst2"), ("colla", "cola"), ("squadv3", "squad"), ("bigram_shit", "bigram-shift"), ("MNIL", "mnli")],
)
def test_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(DataError, match=f"there is no task '{name}': did you mean `{nearest}`"):
        tasks.find(name)


def test_no_name_is_near() -> None:
    with pytest.raises(DataError, match="there is no task 'translation': choose one of cola, sst2,"):
        tasks.expand(["cola", "translation"])
    assert tasks.find("STS-B").name == "stsb" and tasks.find("squad v2".replace(" ", "-")).name == "squad_v2"
