"""BERT's sentence pairs (Devlin et al. 2019, appendix A.2, and the data preparation that came with it), as a plan.

Sentences gather, within a document, until they have the target length: the room beside three special tokens, or for
a tenth of examples something shorter. A random cut makes A and B of them. Half the time, and always where there is
one sentence, B comes from another document instead, and the sentences it displaced go back. What is too long loses
tokens of its longer side, each from the front or the back at random.

Sentences of a document stand side by side, so that an example is two ranges of tokens: nothing is copied. What a
document gives depends on the seed, the duplicate and the document's place alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from autobertc.runtime.data.corpus import Corpus, Ints
from autobertc.runtime.data.errors import DataError

SPECIAL_TOKENS = 3
"""[CLS] A [SEP] B [SEP]"""
NEXT, RANDOM = 0, 1
"""Labels of next-sentence prediction."""
PAIR = np.dtype([("a", "i8"), ("a_length", "i4"), ("b", "i8"), ("b_length", "i4"), ("label", "i1")])
"""An example: the first token and the length of A and of B, and the label."""


@dataclass(frozen=True)
class Packing:
    """How pairs are made.

    Attributes:
        max_length: tokens of an example, special tokens among them.
        short: the share of examples with a shorter target, drawn from 2 to the whole.
    """

    max_length: int = 128
    short: float = 0.1

    def __post_init__(self) -> None:
        if self.max_length < SPECIAL_TOKENS + 2:
            raise DataError(f"a length of {self.max_length} has no room for two tokens beside {SPECIAL_TOKENS} special")
        if not 0 <= self.short <= 1:
            raise DataError(f"the share of short examples must be from 0 to 1, not {self.short:g}")

    @property
    def capacity(self) -> int:
        """Tokens of A and B together."""
        return self.max_length - SPECIAL_TOKENS


class Spans(NamedTuple):
    """A pair before it is cut to length, as ranges of the corpus's sentences, and the target it was gathered for."""

    a: int
    a_stop: int
    b: int
    b_stop: int
    label: int
    target: int


def pair_spans(corpus: Corpus, position: int, packing: Packing, rng: random.Random) -> Iterator[Spans]:
    """The pairs of the document at a place of the reading order."""
    document = int(corpus.documents[position])
    first, end = (int(edge) for edge in corpus.document_starts[document : document + 2])
    starts = corpus.sentence_starts[first : end + 1].tolist()
    begin, count = 0, end - first
    while begin < count:
        target = packing.capacity if rng.random() >= packing.short else rng.randint(2, packing.capacity)
        stop = begin + 1
        while stop < count and starts[stop] - starts[begin] < target:
            stop += 1
        cut = begin + 1 if stop - begin == 1 else rng.randint(begin + 1, stop - 1)
        if stop - begin == 1 or rng.random() < 0.5:
            b, b_stop = _elsewhere(corpus, document, target - (starts[cut] - starts[begin]), rng)
            yield Spans(first + begin, first + cut, b, b_stop, RANDOM, target)
            begin = cut
        else:
            yield Spans(first + begin, first + cut, first + cut, first + stop, NEXT, target)
            begin = stop


def _elsewhere(corpus: Corpus, document: int, length: int, rng: random.Random) -> tuple[int, int]:
    """Sentences of another document, from a random one on, until they have a length or end; at least one."""
    other = document
    while other == document:
        other = int(corpus.documents[rng.randrange(len(corpus.documents))])
    first, end = (int(edge) for edge in corpus.document_starts[other : other + 2])
    start = rng.randrange(first, end)
    wanted = corpus.sentence_starts[start] + length
    stop = start + 1
    while stop < end and corpus.sentence_starts[stop] < wanted:
        stop += 1
    return start, stop


def cut_lengths(a: int, b: int, capacity: int) -> tuple[int, int]:
    """Lengths of A and B after taking tokens, one by one, off the longer (off B if they are equal) until they fit."""
    excess = max(0, a + b - capacity)
    uneven = min(excess, abs(a - b))
    rest = excess - uneven
    a, b = (a - uneven, b) if a > b else (a, b - uneven)
    return a - rest // 2, b - (rest + 1) // 2


def plan_pairs(corpus: Corpus, packing: Packing, key: tuple[int, ...], progress: bool = False) -> NDArray[np.void]:
    """All pairs of a corpus as an array of `PAIR`; `key` is the seed and what else tells this plan from others.

    Raises `DataError` where all the text is one document.
    """
    if len(np.unique(corpus.documents)) < 2:
        raise DataError("pairs need two documents at least: half the second sentences come from another one")

    def pairs() -> Iterator[tuple[int, ...]]:
        for position in tqdm(range(len(corpus.documents)), desc="packing", disable=not progress):
            rng = random.Random(f"{key} {position}")
            for spans in pair_spans(corpus, position, packing, rng):
                yield _cut_to_length(corpus.sentence_starts, spans, packing.capacity, rng)

    return np.fromiter(pairs(), PAIR)


def _cut_to_length(starts: Ints, spans: Spans, capacity: int, rng: random.Random) -> tuple[int, ...]:
    a, a_stop, b, b_stop = (int(starts[edge]) for edge in spans[:4])
    a_length, b_length = cut_lengths(a_stop - a, b_stop - b, capacity)
    # Of the tokens that go, so many from the front: a coin for each.
    a += rng.getrandbits(a_stop - a - a_length).bit_count()
    b += rng.getrandbits(b_stop - b - b_length).bit_count()
    return a, a_length, b, b_length, spans.label
