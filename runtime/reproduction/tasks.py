"""What models are scored on: GLUE and SQuAD where their rows are to be had, stand-ins of any text elsewhere."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.files import write_text
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.tasks import GLUE, find, squad
from autobertc.runtime.tasks.base import SequenceTask, Splits, Task
from autobertc.runtime.tasks.standins import Document, read_documents

_AVERAGED = tuple(name for name in GLUE if name != "wnli")
_QUESTION = range(5, 13)  # words: with the text beside it, a question must fit the shortest sequences


def glue_tasks(context: Context) -> tuple[list[Task], bool]:
    """GLUE's eight that are averaged and True; or a scale's stand-ins and False, said to the user where the Hub fails.

    Raises `DataError` for rows that are there and wrong.
    """
    if context.data is not None:
        return [_limited(find(name, str(context.data)), context) for name in _AVERAGED], True
    if context.scale.hub and _hub_has("rte", context):
        return [_limited(find(name), context) for name in _AVERAGED], True
    text = context.task_sources
    names = context.scale.stand_ins
    return [_limited(_stand_in(name, text, context.seed), context) for name in names if _possible(name, text)], False


def _possible(name: str, text: tuple[str, ...]) -> bool:
    return name != "corpus-of-origin" or len(text) != 1


def _hub_has(name: str, context: Context) -> bool:
    try:
        find(name).load()
    except DataError as error:
        context.say(f"stand-in tasks, for {error}")
        return False
    return True


@cache
def _stand_in(name: str, text: tuple[str, ...], seed: int) -> Task:
    """A stand-in that is made once for all models."""
    task = find(name, *text, seed=seed)
    assert isinstance(task, SequenceTask)
    splits = task.load()
    return replace(task, reader=lambda _: splits)


def _limited(task: Task, context: Context) -> Task:
    """The task with no more rows than the scale has."""
    if context.scale.rows is None or not isinstance(task, SequenceTask):
        return task
    train, rest = context.scale.rows
    reader = task.reader

    def read(of: SequenceTask) -> Splits:
        return {
            name: rows.select(range(min(len(rows), train if name == "train" else rest)))
            for name, rows in reader(of).items()
        }

    return replace(task, reader=read)


def squad_tasks(context: Context) -> tuple[list[Task], bool]:
    """SQuAD 1.1 and 2.0 and True, or cloze questions in SQuAD's layout and False."""
    folders = None if context.data is None else [context.data / name for name in squad.TASKS]
    if folders is not None and all(folder.is_dir() for folder in folders):
        return [find(folder.name, str(folder)) for folder in folders], True
    if context.data is None and context.scale.hub and _hub_has("squad", context):
        return [find(name) for name in squad.TASKS], True
    return [find(name, *map(str, _write_cloze(context, name))) for name in squad.TASKS], False


def _write_cloze(context: Context, name: str) -> list[Path]:
    """A training and a validation file of cloze questions."""
    sources = [TextSource.parse(text) for text in context.task_sources or ("default",)]
    found = read_documents(sources, context.seed)
    train, rest = context.scale.rows or (20_000, 2_000)
    paths = []
    for split, count in (("train", train), ("validation", rest)):
        rng = random.Random(f"{context.seed} {name} {split}")
        paragraphs = cloze(found[split], rng, count, impossible=name == "squad_v2")
        path = context.runs / "cloze" / f"{name}-{context.seed}-{count}" / f"{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"version": "cloze", "data": [{"title": "cloze", "paragraphs": paragraphs}]}))
        paths.append(path)
    return paths


def cloze(documents: list[Document], rng: random.Random, count: int, impossible: bool) -> list[dict[str, Any]]:
    """Paragraphs of SQuAD's layout, one question each: a sentence without one of its words, which is the answer.

    Where `impossible` is set, every third question is of another paragraph, and has none. Raises `DataError` where
    the text has no such sentence.
    """
    texts = [[sentence for _, sentence in part][:4] for document in documents for part in document.paragraphs]
    texts = [text for text in texts if any(map(_askable, text))]
    if len(texts) < 2:
        raise DataError("too little text for questions: there must be two paragraphs with a short sentence at least")
    paragraphs = []
    for number in range(count):
        text = rng.choice(texts)
        foreign = impossible and number % 3 == 2
        asked = rng.choice([other for other in texts if other is not text]) if foreign else text
        sentence = rng.choice([sentence for sentence in asked if _askable(sentence)])
        words = sentence.split(" ")
        place = rng.choice([i for i, word in enumerate(words) if _is_answer(word)])
        context = " ".join(text)
        start = context.find(sentence) + len(" ".join([*words[:place], ""]))
        answers = [] if foreign else [{"text": words[place], "answer_start": start}]
        question = " ".join([*words[:place], "...", *words[place + 1 :]])
        asking = {"id": str(number), "question": question, "answers": answers, "is_impossible": foreign}
        paragraphs.append({"context": context, "qas": [asking]})
    return paragraphs


def _is_answer(word: str) -> bool:
    """A plain word that is no article: of those SQuAD's scripts see nothing."""
    return word.isalpha() and len(word) > 3


def _askable(sentence: str) -> bool:
    """Short, with single blanks, and with a plain word to ask for."""
    words = sentence.split(" ")
    return len(words) in _QUESTION and words == sentence.split() and any(map(_is_answer, words))
