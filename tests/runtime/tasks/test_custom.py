"""A user's own files as a task, and what can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.errors import DataError
from autobertc.runtime.tasks.custom import custom_task

TEXTS = [f"sentence number {number} is here" for number in range(20)]


def write(path: Path, labels: list[Any], **columns: list[Any]) -> str:
    rows = [
        {"text": text, "kind": label, **{name: values[i] for name, values in columns.items()}}
        for i, (text, label) in enumerate(zip(TEXTS, labels, strict=False))
    ]
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("ending", ["csv", "json"])
@pytest.mark.parametrize(
    ("labels", "classes", "metric"),
    [
        (["good", "bad"] * 10, ("bad", "good"), "accuracy"),
        (["a", "b", "c", "d"] * 5, ("a", "b", "c", "d"), "accuracy"),
        ([0, 1] * 10, ("0", "1"), "accuracy"),
        ([5, 1, 3, 2] * 5, ("1", "2", "3", "5"), "accuracy"),
        ([0.5, 1, 3.25, 2] * 5, (), "spearman"),
    ],
)
def test_labels(
    ending: str,
    labels: list[Any],
    classes: tuple[str, ...],
    metric: str,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> None:
    task = custom_task([write(tmp_path / f"a.{ending}", labels)], ["text"], "kind")
    assert task.labels == classes and task.metrics[0] == metric and task.num_labels == max(1, len(classes))
    splits = task.load()
    assert [len(splits[name]) for name in ("train", "validation")] == [18, 2]
    assert sorted([*splits["train"]["text"], *splits["validation"]["text"]]) == sorted(TEXTS)
    for rows in splits.values():
        wanted = [labels[TEXTS.index(text)] for text in rows["text"]]
        assert wanted == [type(labels[0])(classes[label]) if classes else label for label in rows["label"]]
    features = task.encode(splits["train"], tokenizer, 32)
    right = np.array(features["labels"])
    logits = np.eye(len(classes))[right] if classes else right[:, None]
    assert task.score(splits["train"], features, logits)[metric] == pytest.approx(1)
    (path,) = task.write_predictions(tmp_path / "out", "train", splits["train"], features, logits)
    written = [line.split("\t")[1] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert [classes.index(word) for word in written] == right.tolist() if classes else len(written) == 18


def test_pairs_and_files(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """A file for each split; the last has no labels."""
    other = {"other": TEXTS[::-1]}
    paths = [write(tmp_path / f"{name}.json", ["x", "y"] * 10, **other) for name in ("a", "b")]
    rows = [{"text": text, "other": "more"} for text in TEXTS]
    (tmp_path / "c.json").write_text(json.dumps(rows), encoding="utf-8")
    splits = custom_task([*paths, str(tmp_path / "c.json")], ["text", "other"], "kind").load()
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 20, "validation": 20, "test": 20}
    assert "label" not in splits["test"].column_names
    features = custom_task(paths, ["text", "other"], "kind").encode(splits["validation"], tokenizer)
    assert features["input_ids"][3] == tokenizer(TEXTS[3], TEXTS[16])["input_ids"]


def test_a_number_or_a_class(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [1, 2, 3, 4] * 5)
    assert custom_task([path], ["text"], "kind", kind="regression").labels == ()
    assert len(custom_task([path], ["text"], "kind").labels) == 4
    for kind in ("", "classify"):
        with pytest.raises(DataError, match="no kind of task"):
            custom_task([path], ["text"], "kind", kind=kind)


def test_faults(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", ["x", "y"] * 10)

    def fault(*data: str, text: tuple[str, ...] = ("text",), label: str = "kind", **settings: Any) -> str:
        with pytest.raises(DataError) as caught:
            custom_task(data, text, label, **settings)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "has no column 'txt', only 'text', 'kind'; did you mean 'text'?" in fault(good, text=("txt",))
    assert "has no column 'label'" in fault(good, label="label")
    assert "one column of text, or two; 3" in fault(good, text=("text",) * 3)
    wrong = write(tmp_path / "b.csv", ["x", "z"] * 10)
    assert "validation, row 2: label 'z' is none of x, y" in fault(good, wrong)
    missing = write(tmp_path / "c.csv", ["x", ""] * 10)
    assert "train, row 2: label 'None' is none of x" in fault(missing) or "has 1 different labels" in fault(missing)
    one = write(tmp_path / "d.csv", ["x"] * 20)
    assert "column 'kind' has 1 different labels" in fault(one)
    assert "column 'kind' holds" in fault(write(tmp_path / "n.csv", [1, 2] * 10), text=("kind",))
    (tmp_path / "e.csv").write_text("text,kind\n", encoding="utf-8")
    assert fault(str(tmp_path / "e.csv")).endswith("e.csv has no rows")
    (tmp_path / "f.csv").write_bytes("text,kind\ncaf\u00e9,x\n".encode("latin-1"))
    assert "not UTF-8: a bad byte in line 2" in fault(str(tmp_path / "f.csv"))
    assert "there is no file or folder" in fault(str(tmp_path / "none.csv"))
    assert "give one file or folder" in fault()
    assert "cannot hold out" in fault(good, validation=0.0)
