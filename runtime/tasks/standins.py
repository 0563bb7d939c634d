"""Tasks whose labels any text gives, in the manner of SentEval's probes (Conneau et al. 2018): for GLUE's kinds, where
there is no GLUE.

Splits are by document, and a sentence that the text has twice is in none of the rows. Classes are as large as
each other to within one row, but for `corpus-of-origin`, which has what the smallest corpus allows.
"""

from __future__ import annotations

import hashlib
import random
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

from datasets import ClassLabel, Dataset, Features, List, Value

from autobertc.runtime.data.cache import default_cache
from autobertc.runtime.data.documents import documents
from autobertc.runtime.data.embedded import PARTS
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.sentences import split_lines, split_sentences
from autobertc.runtime.data.sources import DEFAULT, TextSource
from autobertc.runtime.tasks.base import ChoiceTask, SequenceTask, Splits

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
MAX_ROWS = {"train": 20_000, "validation": 2_000, "test": 2_000}
_LENGTHS = range(5, 31)  # words of a sentence
_WORD = re.compile(r"[a-z]{3,}")
Row = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """Paragraphs of usable sentences, each with its place in the paragraph, and the number of their source."""

    paragraphs: tuple[tuple[tuple[int, str], ...], ...]
    origin: int

    @property
    def sentences(self) -> list[str]:
        """All of them, in order."""
        return [sentence for paragraph in self.paragraphs for _, sentence in paragraph]


def _usable(sentence: str) -> bool:
    """Prose of a length to read: not a table, a heading or code."""
    letters = sum(character.isalpha() or character == " " for character in sentence)
    return len(sentence.split()) in _LENGTHS and letters > 0.9 * len(sentence)


def read_documents(sources: list[TextSource], seed: int) -> dict[str, list[Document]]:
    """The documents of sources by split, each with its usable sentences. Raises `DataError`."""
    texts: dict[str, tuple[int, list[list[str]]]] = {}  # each document once
    for origin, source in enumerate(sources):
        cut = split_sentences if source.sentences == "split" else split_lines
        with documents(source, default_cache()) as table:
            for text in table["text"]:
                if text and text not in texts:
                    texts[text] = origin, [cut(part) for part in re.split(r"\n\s*\n", text)]
    often = Counter(sentence for _, paragraphs in texts.values() for paragraph in paragraphs for sentence in paragraph)
    found: list[list[tuple[str, Document]]] = [[] for _ in sources]
    for text, (origin, paragraphs) in texts.items():
        kept = [tuple((i, s) for i, s in enumerate(p) if often[s] == 1 and _usable(s)) for p in paragraphs]
        document = Document(tuple(paragraph for paragraph in kept if paragraph), origin)
        if document.paragraphs:
            order = hashlib.sha256(f"{seed} {text}".encode(errors="replace")).hexdigest()
            found[origin].append((order, document))
    splits: dict[str, list[Document]] = {name: [] for name in SHARES}
    for of_source in found:
        _share_out([document for _, document in sorted(of_source, key=lambda pair: pair[0])], splits)
    for name, chosen in splits.items():
        if len(chosen) < 2:
            raise DataError(
                f"{', '.join(map(str, sources))}: {len(chosen)} documents with usable sentences for the {name} split, "
                f"and there must be two at least; give more text, or text in more documents"
            )
    return splits


def _share_out(chosen: list[Document], splits: dict[str, list[Document]]) -> None:
    """Whole documents to splits by their shares of the sentences: of documents there may be few, of any length."""
    bounds = list(accumulate(SHARES.values()))[:-1]
    sizes = [len(document.sentences) for document in chosen]
    before = 0
    for document, size in zip(chosen, sizes, strict=True):
        middle = (before + size / 2) / sum(sizes)
        splits[list(SHARES)[bisect_right(bounds, middle)]].append(document)
        before += size


def _alternating(sentences: list[str], change: Callable[[list[str]], list[str] | None]) -> Iterator[Row]:
    """Every other sentence changed (label 0), the rest intact (label 1), without those that cannot be changed."""
    number = 0
    for sentence in sentences:
        words = sentence.split()
        changed = change(words)
        if changed is not None:
            yield {"sentence": " ".join(changed if number % 2 == 0 else words), "label": number % 2}
            number += 1


def _all(chosen: list[Document], rng: random.Random) -> list[str]:
    sentences = [sentence for document in chosen for sentence in document.sentences]
    rng.shuffle(sentences)
    return sentences


def bigram_shift(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """Two neighbouring words swapped, or not: plain words, so that neither capitals nor marks tell."""

    def swap(words: list[str]) -> list[str] | None:
        plain = [i for i, (a, b) in enumerate(pairwise(words)) if a != b and a.isalpha() and b.isalpha()]
        plain = [i for i in plain if words[i].islower() and words[i + 1].islower()]
        if not plain:
            return None
        i = rng.choice(plain)
        return [*words[:i], words[i + 1], words[i], *words[i + 2 :]]

    return _alternating(_all(chosen, rng), swap)


def shuffled(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """All words shuffled, or intact; the last mark stays in its place."""

    def shuffle(words: list[str]) -> list[str] | None:
        last = words[-1]
        end = last[len(last.rstrip(".!?:;")) :]
        mixed = [*words[:-1], last.removesuffix(end)]
        rng.shuffle(mixed)
        mixed[-1] += end
        return mixed if mixed != words else None

    return _alternating(_all(chosen, rng), shuffle)


def next_sentence(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """A sentence and the next one of its paragraph (0), or one of another document (1)."""
    pairs = [
        (home, (first, second))
        for home, document in enumerate(chosen)
        for paragraph in document.paragraphs
        for (i, first), (j, second) in pairwise(paragraph)
        if j == i + 1
    ]
    rng.shuffle(pairs)
    for number, (home, (first, second)) in enumerate(pairs):
        shown = second if number % 2 == 0 else rng.choice(_other(chosen, home, rng).sentences)
        yield {"sentence1": first, "sentence2": shown, "label": number % 2}


def _other(chosen: list[Document], home: int, rng: random.Random) -> Document:
    number = rng.randrange(len(chosen) - 1)
    return chosen[number + (number >= home)]


def same_paragraph(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """How near two sentences are: 3 neighbours, 2 of one paragraph, 1 of one document, 0 of two documents."""
    pairs: list[tuple[str, str, float]] = []
    for home, document in enumerate(chosen):
        for p, paragraph in enumerate(document.paragraphs):
            others = [s for q, other in enumerate(document.paragraphs) if q != p for _, s in other]
            for i, sentence in paragraph:
                far = [s for j, s in paragraph if abs(i - j) > 1]
                near = [s for j, s in paragraph if abs(i - j) == 1]
                away = _other(chosen, home, rng).sentences
                found = [(grade, among) for grade, among in enumerate((away, others, far, near)) if among]
                grade, among = rng.choice(found)
                pairs.append((sentence, rng.choice(among), float(grade)))
    rng.shuffle(pairs)
    for first, second, distance in pairs:
        yield {"sentence1": first, "sentence2": second, "label": distance}


def missing_word(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """A sentence with a word of its own, and with three others that are about as frequent."""
    sentences = _all(chosen, rng)
    counts = Counter(word for sentence in sentences for word in sentence.split() if _WORD.fullmatch(word))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    rank = {word: number for number, word in enumerate(ranked)}
    for sentence in sentences:
        words = sentence.split()
        places = [i for i, word in enumerate(words) if word in rank]
        if not places:
            continue
        place = rng.choice(places)
        right = rank[words[place]]
        near = [word for word in ranked[max(0, right - 15) : right + 16] if word not in words]
        if len(near) < 3:
            continue
        label = rng.randrange(4)
        shown = rng.sample(near, 3)
        shown.insert(label, words[place])
        yield {"choices": [" ".join([*words[:place], word, *words[place + 1 :]]) for word in shown], "label": label}


def corpus_of_origin(chosen: list[Document], rng: random.Random) -> Iterator[Row]:
    """A sentence, and which corpus it is from; of each as many as of the smallest."""
    by_origin: dict[int, list[Document]] = defaultdict(list)
    for document in chosen:
        by_origin[document.origin].append(document)
    drawn = [_all(by_origin[origin], rng) for origin in sorted(by_origin)]
    for sentences in zip(*drawn, strict=False):
        yield from ({"sentence": sentence, "label": label} for label, sentence in enumerate(sentences))


@dataclass(frozen=True)
class _StandIn:
    rows: Callable[[list[Document], random.Random], Iterator[Row]]
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)


STAND_INS: dict[str, _StandIn] = {
    "bigram-shift": _StandIn(bigram_shift, ("sentence",), ("shifted", "intact"), ("matthews", "accuracy")),
    "next-sentence": _StandIn(next_sentence, ("sentence1", "sentence2"), ("next", "random")),
    "same-paragraph": _StandIn(same_paragraph, ("sentence1", "sentence2"), (), ("spearman", "pearson")),
    "missing-word": _StandIn(missing_word, ("choices",), ("0", "1", "2", "3")),
    "corpus-of-origin": _StandIn(corpus_of_origin, ("sentence",), tuple(PARTS)),
    "shuffled": _StandIn(shuffled, ("sentence",), ("shuffled", "intact")),
}
"""By name: of the kinds of CoLA, QNLI and RTE, STS-B, multiple choice; and two that a small model learns soon."""


def stand_in(name: str, data: tuple[str, ...] = (), seed: int = 0) -> SequenceTask:
    """A stand-in of text that sources name (`TextSource.parse`), by default of the text that comes with Python."""
    made = STAND_INS[name]
    labels = made.labels
    if name == "corpus-of-origin":
        data = data or tuple(f"{DEFAULT}:{part}" for part in PARTS)
        labels = tuple(str(TextSource.parse(source)) for source in data)
        if len(set(labels)) < 2:
            raise DataError("corpus-of-origin needs two sources of text at least")
    kind = ChoiceTask if name == "missing-word" else SequenceTask
    return kind(
        name=name,
        columns=made.columns,
        labels=labels,
        metrics=made.metrics,
        reader=partial(_read, seed=seed),
        data=data or (DEFAULT,),
    )


def _read(task: SequenceTask, seed: int) -> Splits:
    """The rows of a stand-in."""
    chosen = read_documents([TextSource.parse(source) for source in task.data], seed)
    if task.name == "corpus-of-origin":
        _check_origins(task, chosen)
    text = List(Value("string")) if isinstance(task, ChoiceTask) else Value("string")
    label = ClassLabel(names=list(task.labels)) if task.labels else Value("float32")
    features = Features(dict.fromkeys(task.columns, text) | {"label": label})
    splits = {}
    for name, found in chosen.items():
        rows = STAND_INS[task.name].rows(found, random.Random(f"{seed} {task.name} {name}"))
        limited = [row for row, _ in zip(rows, range(MAX_ROWS[name]), strict=False)]
        if len(limited) < 2:
            raise DataError(f"{', '.join(task.data)}: too little text for the {name} split of {task.name}")
        splits[name] = Dataset.from_list(limited, features=features)
    return splits


def _check_origins(task: SequenceTask, chosen: dict[str, list[Document]]) -> None:
    for name, found in chosen.items():
        for origin, source in enumerate(task.data):
            if not any(document.origin == origin for document in found):
                raise DataError(f"{source} has too few documents: none of them for the {name} split of {task.name}")
