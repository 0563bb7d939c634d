"""GLUE's nine tasks (Wang et al. 2018): columns, splits, labels, metrics and submission files of the benchmark."""

from __future__ import annotations

from pathlib import Path

from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.reading import read_hub
from autobertc.runtime.tasks.base import SequenceTask, Splits
from autobertc.runtime.tasks.rows import check_rows, read_splits

HUB_NAME = "nyu-mll/glue"
_USUAL = {"train": "train", "validation": "validation", "test": "test"}
_MATCHED = ("validation_matched", "validation_mismatched", "test_matched", "test_mismatched")


def _read(task: SequenceTask) -> Splits:
    """Of the Hub, or of a folder of the same layout: a subfolder, or none, with a file for each split."""
    names = ("train", *_MATCHED) if task.name == "mnli" else tuple(_USUAL)
    if len(task.data) > 1:
        raise DataError(f"{task.name} takes one folder, not {len(task.data)}")
    where = task.data[0] if task.data else f"{HUB_NAME}:{task.name}"
    found = read_splits(Path(where), names, task.name) if task.data else read_hub(HUB_NAME, task.name, None)
    if missing := [name for name in names if name not in found and not name.startswith("test")]:
        raise DataError(f"{where} has no {' and no '.join(missing)} split for {task.name}")
    return {
        name: check_rows(f"{where}, {name}", found[name], task.columns, task.labels, needed=not name.startswith("test"))
        for name in names
        if name in found
    }


def _task(
    name: str,
    columns: str,
    labels: str,
    metrics: str,
    file: str,
    *,
    words: bool = False,
    limits: tuple[float, float] = (0.0, 5.0),
) -> SequenceTask:
    files = {"test": file}
    if name == "mnli":
        files = {"test_matched": f"{file}-m", "test_mismatched": f"{file}-mm"}
    return SequenceTask(
        name=name,
        columns=tuple(columns.split()),
        labels=tuple(labels.split()),
        metrics=tuple(metrics.split()),
        reader=_read,
        files=files,
        written=tuple(labels.split()) if words else (),
        limits=limits,
    )


_ENTAILMENT = "entailment not_entailment"
TASKS: dict[str, SequenceTask] = {
    task.name: task
    for task in (
        _task("cola", "sentence", "unacceptable acceptable", "matthews accuracy", "CoLA"),
        _task("sst2", "sentence", "negative positive", "accuracy", "SST-2"),
        _task("mrpc", "sentence1 sentence2", "not_equivalent equivalent", "f1 accuracy", "MRPC"),
        _task("stsb", "sentence1 sentence2", "", "spearman pearson", "STS-B"),
        _task("qqp", "question1 question2", "not_duplicate duplicate", "f1 accuracy", "QQP"),
        _task("mnli", "premise hypothesis", "entailment neutral contradiction", "accuracy", "MNLI", words=True),
        _task("qnli", "question sentence", _ENTAILMENT, "accuracy", "QNLI", words=True),
        _task("rte", "sentence1 sentence2", _ENTAILMENT, "accuracy", "RTE", words=True),
        _task("wnli", "sentence1 sentence2", "not_entailment entailment", "accuracy", "WNLI"),
    )
}
"""By name. The first metric of each is the one that the paper reports and averages."""
