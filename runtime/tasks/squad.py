"""SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018): questions whose answer is a span of a text, or none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.errors import DataError, require_columns
from autobertc.runtime.data.reading import check_files, read_hub
from autobertc.runtime.files import write_text
from autobertc.runtime.metrics.squad import best_threshold, squad_scores
from autobertc.runtime.tasks.answers import Answer, best_answers
from autobertc.runtime.tasks.base import Logits, Splits, Task, encode_rows
from autobertc.runtime.tasks.rows import read_splits
from autobertc.runtime.tasks.spans import encode_questions

COLUMNS = ("id", "title", "context", "question", "answers")
_FEATURES = Features(
    {
        **{name: Value("string") for name in COLUMNS[:4]},
        "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))},
    }
)
_FILES = {"train": ("train", "train-v1.1", "train-v2.0"), "validation": ("validation", "dev", "dev-v1.1", "dev-v2.0")}


def read_layout(path: Path) -> Dataset:
    """The questions of a file of SQuAD's own layout: articles of paragraphs of questions. Raises `DataError`."""
    check_files([path])
    try:
        articles = json.loads(path.read_text(encoding="utf-8-sig"))["data"]
        rows = list(_questions(articles))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        missing = f": there is no {error}" if isinstance(error, KeyError) else f": {error}"
        raise DataError(f"{path} does not have SQuAD's layout (data, paragraphs, qas){missing}") from error
    return Dataset.from_list(rows, features=_FEATURES)


def _questions(articles: Any) -> Iterator[dict[str, Any]]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [] if question.get("is_impossible") else question.get("answers", [])
                yield {
                    "id": str(question["id"]),
                    "title": str(article.get("title", "")),
                    "context": paragraph["context"],
                    "question": question["question"],
                    "answers": {
                        "text": [answer["text"] for answer in answers],
                        "answer_start": [answer["answer_start"] for answer in answers],
                    },
                }


def aligned(row: dict[str, Any]) -> bool:
    """Whether every answer stands in the text where it says."""
    answers = row["answers"]
    return all(
        text and row["context"][start : start + len(text)] == text
        for text, start in zip(answers["text"], answers["answer_start"], strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class SquadTask(Task):
    """Spans, and in version 2.0 questions that have none.

    Attributes:
        stride: how many tokens of text two neighbouring windows share.
        max_question: tokens of a question; the rest is cut off.
        max_answer, n_best: the longest answer in tokens, and how many starts and ends are looked at (BERT's).
        null_threshold: how much more than the best span's no answer must score to be predicted.
    """

    name: str
    hub_name: str
    data: tuple[str, ...] = ()
    version_2: bool
    head: str = "question-answering"
    num_labels: int = 2
    metrics: tuple[str, ...] = ("f1", "exact_match")
    stride: int = 128
    max_question: int = 64
    max_answer: int = 30
    n_best: int = 20
    null_threshold: float = 0.0

    def load(self) -> Splits:
        """Of the Hub; or of a folder with a file for each split, of SQuAD's layout or of a table's; or of two files of
        SQuAD's layout, to train on and to validate with. Training questions whose answer is not where it says are
        dropped."""
        found = self._read()
        where = ", ".join(self.data) or self.hub_name
        for name in ("train", "validation"):
            if name not in found:
                raise DataError(f"{where} has no {name} split for {self.name}")
            self._check(f"{where}, {name}", found[name])
        usable = found["train"].filter(aligned, load_from_cache_file=False)
        if len(usable) == 0:
            raise DataError(f"{where}, train: no answer stands in its context where `answer_start` says")
        return {"train": usable, "validation": found["validation"]}

    def _read(self) -> Any:
        if not self.data:
            return read_hub(self.hub_name, None, None)
        paths = [Path(name) for name in self.data]
        if len(paths) == 2:
            return {name: read_layout(path) for name, path in zip(("train", "validation"), paths, strict=True)}
        if len(paths) > 2:
            raise DataError(f"{self.name} takes a folder, or two files (to train on, and to validate with)")
        layout = {
            split: path
            for split, stems in _FILES.items()
            for stem in stems
            if (path := paths[0] / f"{stem}.json").is_file()
        }
        if len(layout) == 2:
            return {name: read_layout(path) for name, path in layout.items()}
        return read_splits(paths[0], ("train", "validation"))

    def _check(self, where: str, rows: Dataset) -> None:
        require_columns(where, rows.column_names, [name for name in COLUMNS if name != "title"])
        if len(rows) == 0:
            raise DataError(f"{where} is empty")
        answers, seen = rows["answers"], set()
        for number, (question, given) in enumerate(zip(rows["id"], answers, strict=True)):
            place = f"{where}, row {number + 1} (question {question})"
            if not isinstance(given, dict) or not {"text", "answer_start"} <= given.keys():
                raise DataError(f"{place}: `answers` must hold `text` and `answer_start`, a list each")
            if len(given["text"]) != len(given["answer_start"]):
                raise DataError(f"{place}: {len(given['text'])} answers, but {len(given['answer_start'])} starts")
            if not given["text"] and not self.version_2:
                raise DataError(f"{place} has no answer; the task that has such questions is squad_v2")
            if question in seen:
                raise DataError(f"{place}: the id is there twice")
            seen.add(question)

    def encode(
        self, rows: Dataset, tokenizer: PreTrainedTokenizerFast, max_length: int = 384, training: bool = False
    ) -> Dataset:
        """Windows: several features to a long text. `training` adds the answer's place, 0 where it is not in a window;
        otherwise what decoding needs is added: `question`, `offsets` and `best_context`."""
        return encode_rows(
            rows,
            encode_questions,
            tokenizer,
            max_length=max_length,
            stride=self.stride,
            max_question=self.max_question,
            training=training,
        )

    def answers(self, rows: Dataset, features: Dataset, logits: Logits) -> list[Answer]:
        """The decoded answer of each row."""
        starts, ends = logits
        return best_answers(rows, features, starts, ends, n_best=self.n_best, max_answer=self.max_answer)

    def _texts(self, answers: Sequence[Answer]) -> dict[str, str]:
        limit = self.null_threshold if self.version_2 else None
        return {answer.question: answer.text(limit) for answer in answers}

    def score(self, rows: Dataset, features: Dataset, logits: Logits) -> dict[str, float]:
        answers = self.answers(rows, features, logits)
        wanted = {question: given["text"] for question, given in zip(rows["id"], rows["answers"], strict=True)}
        scores = squad_scores(self._texts(answers), wanted, self.version_2)
        if self.version_2:
            spans = {answer.question: answer.text(None) for answer in answers}
            odds = {answer.question: answer.null_odds for answer in answers}
            scores["best_f1_threshold"], scores["best_f1"] = best_threshold(spans, odds, wanted)
        return scores

    def write_predictions(
        self, folder: Path, split: str, rows: Dataset, features: Dataset, logits: Logits
    ) -> list[Path]:
        """The official scripts' input: an answer by question id; the best spans of each; and in version 2.0 the odds
        of no answer (`--na-prob-file`)."""
        answers = self.answers(rows, features, logits)
        contents: dict[str, Any] = {"predictions": self._texts(answers)}
        contents["nbest_predictions"] = {answer.question: answer.n_best() for answer in answers}
        if self.version_2:
            contents["null_odds"] = {answer.question: answer.null_odds for answer in answers}
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = []
        for name, content in contents.items():
            path = Path(folder) / f"{self.name}-{split}-{name}.json"
            write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            paths.append(path)
        return paths


TASKS: dict[str, SquadTask] = {
    "squad": SquadTask(name="squad", hub_name="rajpurkar/squad", version_2=False),
    "squad_v2": SquadTask(name="squad_v2", hub_name="rajpurkar/squad_v2", version_2=True),
}
"""By name."""
