"""BERT's pairs, on real text: each property as it is defined, ratios by binomial bounds."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from real_text import ALPHA, fits, is_share
from scipy.stats import kstest
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.corpus import Corpus
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.examples import PackedExamples
from autobertc.runtime.data.packing import NEXT, RANDOM, Packing, Spans, cut_lengths, pair_spans, plan_pairs

PACKING = Packing(128)
DUPLICATES = 12


@dataclass
class Chunk:
    """A pair, and the sentences that had gathered for it."""

    document: int
    spans: Spans
    gathered: int


@pytest.fixture(scope="module")
def chunks(corpus: Corpus) -> list[Chunk]:
    """The pairs of all documents, many times; what had gathered, found again from the target."""
    found = []
    for duplicate in range(DUPLICATES):
        for document in range(len(corpus.documents)):
            end = corpus.document_starts[document + 1]
            for spans in pair_spans(corpus, document, PACKING, random.Random(f"{duplicate} {document}")):
                stop = spans.a + 1
                while stop < end and corpus.sentence_starts[stop] - corpus.sentence_starts[spans.a] < spans.target:
                    stop += 1
                found.append(Chunk(document, spans, int(stop - spans.a)))
    return found


def document_of(corpus: Corpus, sentence: int) -> int:
    return int(np.searchsorted(corpus.document_starts, sentence, side="right")) - 1


def test_enough_text(corpus: Corpus, chunks: list[Chunk]) -> None:
    """The bounds below mean something."""
    assert len(corpus.documents) > 70 and corpus.num_tokens > 90_000 and len(chunks) > 12_000


def test_a_tenth_is_short(chunks: list[Chunk]) -> None:
    capacity = PACKING.capacity
    targets = [chunk.spans.target for chunk in chunks]
    assert min(targets) >= 2 and max(targets) == capacity == 125
    short = [target for target in targets if target < capacity]
    # The draw from 2 to the capacity, both included, may give the capacity.
    assert is_share(len(short), len(targets), 0.1 * (capacity - 2) / (capacity - 1))
    assert min(short) <= 4 and max(short) >= capacity - 3  # missed by chance once in 10^13
    counts = np.bincount(short, minlength=capacity)[2:]
    assert len(counts) == 123 and fits(counts.tolist(), [len(short) / 123] * 123)


def test_half_are_random_where_there_is_a_choice(chunks: list[Chunk]) -> None:
    several = [chunk.spans.label for chunk in chunks if chunk.gathered > 1]
    assert len(several) > 10_000 and is_share(several.count(RANDOM), len(several), 0.5)
    alone = [chunk.spans.label for chunk in chunks if chunk.gathered == 1]
    assert len(alone) > 100 and set(alone) == {RANDOM}


def test_a_random_sentence_is_of_another_document(corpus: Corpus, chunks: list[Chunk]) -> None:
    """And every other document is as likely."""
    observed, expected = np.zeros(len(corpus.documents)), np.zeros(len(corpus.documents))
    for chunk in chunks:
        spans = chunk.spans
        other = document_of(corpus, spans.b)
        assert (other != chunk.document) is (spans.label == RANDOM)
        assert document_of(corpus, spans.b_stop - 1) == other and spans.b < spans.b_stop
        if spans.label == RANDOM:
            observed[other] += 1
            expected += 1 / (len(expected) - 1)
            expected[chunk.document] -= 1 / (len(expected) - 1)
    assert fits(observed.tolist(), expected.tolist())


def test_a_random_sentence_begins_anywhere_and_fills_the_target(corpus: Corpus, chunks: list[Chunk]) -> None:
    places = []
    for spans in (chunk.spans for chunk in chunks if chunk.spans.label == RANDOM):
        first, end = corpus.document_starts[document_of(corpus, spans.b) :][:2]
        places.append((spans.b - first + random.Random(len(places)).random()) / (end - first))
        starts = corpus.sentence_starts
        wanted = spans.target - (starts[spans.a_stop] - starts[spans.a])
        assert spans.b_stop == end or starts[spans.b_stop] - starts[spans.b] >= wanted
        assert spans.b_stop - spans.b == 1 or starts[spans.b_stop - 1] - starts[spans.b] < wanted
    assert kstest(places, "uniform").pvalue > ALPHA


def test_the_cut_is_uniform(chunks: list[Chunk]) -> None:
    cuts: dict[int, list[int]] = defaultdict(list)
    for chunk in chunks:
        if chunk.gathered > 1:
            cuts[chunk.gathered].append(chunk.spans.a_stop - chunk.spans.a)
    frequent = {size: found for size, found in cuts.items() if len(found) >= 300 and size > 2}
    assert len(frequent) >= 3
    for size, found in frequent.items():
        counts = np.bincount(found, minlength=size)[1:]
        assert len(counts) == size - 1 and fits(counts.tolist(), [len(found) / (size - 1)] * (size - 1))


def test_nothing_is_lost_when_sentences_go_back(corpus: Corpus, chunks: list[Chunk]) -> None:
    """A, and B where it is next, are each document's sentences in order, each once in every duplicate."""
    seen: dict[int, list[int]] = defaultdict(list)
    for chunk in chunks:
        spans = chunk.spans
        seen[chunk.document] += range(spans.a, spans.a_stop)
        if spans.label == NEXT:
            assert spans.b == spans.a_stop
            seen[chunk.document] += range(spans.b, spans.b_stop)
    for document in range(len(corpus.documents)):
        first, end = corpus.document_starts[document : document + 2]
        assert seen[document] == list(range(first, end)) * DUPLICATES


def test_lengths() -> None:
    """The closed form is taking one after the other off the longer."""
    for capacity in (2, 3, 17, 30):
        for a in range(1, 45):
            for b in range(1, 45):
                left = [a, b]
                while sum(left) > capacity:
                    left[left[0] <= left[1]] -= 1
                assert cut_lengths(a, b, capacity) == tuple(left)
                assert min(left) >= 1


def test_what_is_too_long_is_cut_at_both_ends(corpus: Corpus) -> None:
    """A third of the usual length cuts much. What goes from the front is half of what goes."""
    packing = Packing(40)
    starts, front, gone, whole = corpus.sentence_starts, 0, 0, 0
    pairs = plan_pairs(corpus, packing, (5, 0))
    number = 0
    for position in range(len(corpus.documents)):
        rng = random.Random(f"{(5, 0)} {position}")
        for spans in pair_spans(corpus, position, packing, rng):
            pair, number = pairs[number], number + 1
            for side, first, stop in (("a", spans.a, spans.a_stop), ("b", spans.b, spans.b_stop)):
                cut = int(starts[stop] - starts[first] - pair[f"{side}_length"])
                before = int(pair[side] - starts[first])
                assert 0 <= before <= cut
                rng.getrandbits(cut)
                front, gone, whole = front + before, gone + cut, whole + (cut == 0)
            expected = min(
                packing.capacity, int(starts[spans.a_stop] - starts[spans.a] + starts[spans.b_stop] - starts[spans.b])
            )
            assert pair["a_length"] + pair["b_length"] == expected and pair["label"] == spans.label
            assert pair["a_length"] >= 1 and pair["b_length"] >= 1
    assert number == len(pairs) and gone > 5000 and whole > 1000
    assert is_share(front, gone, 0.5)


def test_examples_are_what_was_planned(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, cache: Path) -> None:
    examples = PackedExamples(corpus, tokenizer, PACKING, seed=3, cache=cache, progress=False)
    pairs = plan_pairs(corpus, PACKING, (3, 0))
    assert len(examples) == len(pairs)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for row in (examples[number] for number in range(len(examples))):
        pair, ids = pairs[row["example"]], row["input_ids"].tolist()
        ends = [i for i, token in enumerate(ids) if token in special]
        middle = int(pair["a_length"]) + 1
        assert ends == [0, middle, len(ids) - 1] and [ids[i] for i in ends] == [2, 3, 3] and len(ids) <= 128
        assert ids[1:middle] == corpus.tokens(pair["a"], pair["a"] + pair["a_length"]).tolist()
        assert ids[middle + 1 : -1] == corpus.tokens(pair["b"], pair["b"] + pair["b_length"]).tolist()
        assert row["token_type_ids"].tolist() == [0] * (middle + 1) + [1] * (len(ids) - middle - 1)
        assert row["next_sentence_label"] == pair["label"]
    assert sorted(examples[number]["example"] for number in range(len(examples))) == list(range(len(pairs)))


def test_a_plan_is_its_key(corpus: Corpus) -> None:
    first = plan_pairs(corpus, PACKING, (0, 0))
    assert (first == plan_pairs(corpus, PACKING, (0, 0))).all()
    for key in ((1, 0), (0, 1)):
        other = plan_pairs(corpus, PACKING, key)
        assert len(other) != len(first) or (other != first).mean() > 0.5


def test_orders_differ_by_epoch(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, cache: Path) -> None:
    examples = PackedExamples(corpus, tokenizer, PACKING, epochs=3, duplicates=1, cache=cache, progress=False)
    size = len(examples) // 3
    orders = [[examples[epoch * size + i]["example"] for i in range(size)] for epoch in range(3)]
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0] != list(range(size))


def test_one_document_cannot_be_paired(corpus: Corpus) -> None:
    with pytest.raises(DataError, match="pairs need two documents"):
        plan_pairs(corpus.select(np.array([4, 4, 4])), PACKING, (0,))
    twice = corpus.select(np.array([4, 4, 4, 4, 7]))
    for pair in plan_pairs(twice, PACKING, (0,)):
        sentences = np.searchsorted(corpus.sentence_starts, [pair["a"], pair["b"]], side="right") - 1
        first, second = (document_of(corpus, sentence) for sentence in sentences)
        assert {first, second} <= {4, 7} and (first != second) == (pair["label"] == RANDOM)


@pytest.mark.parametrize(("settings", "message"), [({"max_length": 4}, "no room"), ({"short": 1.5}, "from 0 to 1")])
def test_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Packing(**settings)  # type: ignore[arg-type]
