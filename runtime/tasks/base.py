"""What a task is: rows with their labels, features for a model, scores and prediction files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import DataCollatorForMultipleChoice, DataCollatorWithPadding, PreTrainedTokenizerFast

from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.corpus import plain
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.files import write_text
from autobertc.runtime.metrics.scores import score

Splits = dict[str, Dataset]
"""Rows by the name of their split: `train`, `validation` or several that begin so, `test`."""
Logits = NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]
"""What a model gives for all features: `[rows, labels]`, or for spans a pair, starts and ends, `[features, N]`."""
UNLABELLED = -1  # the label of a test split whose labels are withheld


class Task(ABC):
    """One task. `load`, then `encode` each split; a model with that `head` and `num_labels` gives logits of the
    features, which `score` and `write_predictions` take together with the rows they came from."""

    name: str
    data: tuple[str, ...]  # where its rows are; none for where they are by default
    head: str  # of `autobertc.compiler.module_text.HEADS`
    num_labels: int
    metrics: tuple[str, ...]  # the first is the task's own

    @abstractmethod
    def load(self) -> Splits:
        """The checked rows. Raises `DataError`."""

    @abstractmethod
    def encode(
        self, rows: Dataset, tokenizer: PreTrainedTokenizerFast, max_length: int = 128, training: bool = False
    ) -> Dataset:
        """Features of rows, the model's arguments as columns; labels where the rows have them."""

    @abstractmethod
    def score(self, rows: Dataset, features: Dataset, logits: Logits) -> dict[str, float]:
        """All of the task's metrics, from 0 or -1 to 1. Raises `DataError`."""

    @abstractmethod
    def write_predictions(
        self, folder: Path, split: str, rows: Dataset, features: Dataset, logits: Logits
    ) -> list[Path]:
        """Write predictions in the benchmark's format and return the files. Raises `OutputError`."""

    def collator(self, tokenizer: PreTrainedTokenizerFast) -> Any:
        """What makes a batch of features."""
        return DataCollatorWithPadding(tokenizer)

    @staticmethod
    def evaluations(splits: Splits) -> list[str]:
        """The names of the validation splits."""
        return [name for name in splits if name.startswith("validation")]


def encode_rows(
    rows: Dataset, function: Callable[..., dict[str, Any]], tokenizer: PreTrainedTokenizerFast, **settings: Any
) -> Dataset:
    """Rows through a function of a batch, the tokenizer and settings; rows that are files are kept so, by a hash of
    all of these."""
    key = digest(function.__qualname__, rows._fingerprint, plain(tokenizer).to_str(), settings)
    return rows.map(
        function,
        batched=True,
        remove_columns=rows.column_names,
        new_fingerprint=key,
        fn_kwargs={"tokenizer": tokenizer, **settings},
        desc="tokenising",
    )


@dataclass(frozen=True, kw_only=True)
class SequenceTask(Task):
    """A class or a number for a text or a pair of texts.

    Attributes:
        columns: one or two, of text; rows have `label` beside them, and may have `idx`.
        labels: names of the classes in their order; none for a number.
        reader: gives the task's rows by split, checked.
        files: names of prediction files by split, without `.tsv`; by default the task's and the split's.
        written: how classes are written there, if not as numbers.
        limits: the least and the greatest number written.
    """

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    reader: Callable[[SequenceTask], Splits]
    data: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    limits: tuple[float, float] = (-np.inf, np.inf)
    head: str = "sequence-classification"

    @property
    def num_labels(self) -> int:  # type: ignore[override]
        """The width of the model's output."""
        return max(1, len(self.labels))

    def load(self) -> Splits:
        return self.reader(self)

    def encode(
        self, rows: Dataset, tokenizer: PreTrainedTokenizerFast, max_length: int = 128, training: bool = False
    ) -> Dataset:
        settings = {"columns": list(self.columns), "max_length": max_length, "number": not self.labels}
        return encode_rows(rows, _encode_texts, tokenizer, **settings)

    def predict(self, logits: Logits) -> NDArray[Any]:
        """Classes or numbers, `[rows]`."""
        output = np.asarray(logits)
        return output.argmax(-1) if self.labels else output.reshape(len(output))

    def score(self, rows: Dataset, features: Dataset, logits: Logits) -> dict[str, float]:
        if "labels" not in features.column_names:
            raise DataError(f"{self.name}: these rows have no labels to compare with")
        return score(self.metrics, self.predict(logits), features["labels"])

    def write_predictions(
        self, folder: Path, split: str, rows: Dataset, features: Dataset, logits: Logits
    ) -> list[Path]:
        predictions = self.predict(logits)
        if len(predictions) != len(rows):
            raise DataError(f"{len(predictions)} predictions for {len(rows)} rows of {self.name}'s {split} split")
        numbers = rows["idx"] if "idx" in rows.column_names else range(len(rows))
        lines = ["index\tprediction"]
        for number, prediction in sorted(zip(numbers, predictions, strict=True)):
            if not self.labels:
                shown = f"{np.clip(prediction, *self.limits):.3f}"
            else:
                shown = self.written[prediction] if self.written else str(prediction)
            lines.append(f"{number}\t{shown}")
        path = Path(folder) / f"{self.files.get(split, f'{self.name}-{split}')}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(lines) + "\n")
        return [path]


def _encode_texts(
    batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerFast, columns: list[str], max_length: int, number: bool
) -> dict[str, Any]:
    features = dict(tokenizer(*(batch[column] for column in columns), truncation=True, max_length=max_length))
    labels = batch.get("label")
    if labels and UNLABELLED not in labels and None not in labels:
        features["labels"] = [float(label) if number else int(label) for label in labels]
    return features


@dataclass(frozen=True, kw_only=True)
class ChoiceTask(SequenceTask):
    """The right one of several texts: a column `choices` of so many each, and `label`, its number."""

    columns: tuple[str, ...] = ("choices",)
    head: str = "multiple-choice"

    @property
    def num_labels(self) -> int:  # type: ignore[override]
        """One: the score of a choice."""
        return 1

    def encode(
        self, rows: Dataset, tokenizer: PreTrainedTokenizerFast, max_length: int = 128, training: bool = False
    ) -> Dataset:
        return encode_rows(rows, _encode_choices, tokenizer, max_length=max_length)

    def collator(self, tokenizer: PreTrainedTokenizerFast) -> Any:
        return DataCollatorForMultipleChoice(tokenizer)


def _encode_choices(batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
    width = len(batch["choices"][0])
    flat = [choice for choices in batch["choices"] for choice in choices]
    found = tokenizer(flat, truncation=True, max_length=max_length)
    features = {name: [values[i : i + width] for i in range(0, len(flat), width)] for name, values in found.items()}
    return features | {"labels": [int(label) for label in batch["label"]]}
