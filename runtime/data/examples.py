"""Packed examples for a Trainer: functions of their number alone, the same in any worker and in a resumed run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.cache import cached, default_cache, digest
from autobertc.runtime.data.corpus import Corpus, corpus_of, id_type, plain, tokenise_texts
from autobertc.runtime.data.documents import no_documents, stream
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.packing import PAIR, Packing, plan_pairs
from autobertc.runtime.data.sources import TextSource

Example = dict[str, Any]
_ORDER = 1  # keeps the draws of orders apart from those of masks


def make_example(corpus: Corpus, pair: Any, cls: int, sep: int) -> Example:
    """`input_ids`, `token_type_ids` and `next_sentence_label` of a planned pair."""
    first = corpus.tokens(int(pair["a"]), int(pair["a"] + pair["a_length"]))
    second = corpus.tokens(int(pair["b"]), int(pair["b"] + pair["b_length"]))
    ids = np.concatenate([[cls], first, [sep], second, [sep]]).astype(np.int64)
    types = np.zeros(len(ids), np.int64)
    types[len(first) + 2 :] = 1
    return {"input_ids": ids, "token_type_ids": types, "next_sentence_label": int(pair["label"])}


class PackedExamples(Dataset[Example]):
    """`epochs` readings of a corpus, one after the other, each in an order of its own.

    Epoch e has the pairs of duplicate `e % duplicates`. `draw` and `example` of a row are what its masks are drawn by
    (`MaskingCollator`): with `dynamic` each epoch has its own masks, otherwise they are the duplicate's, as in BERT's
    prepared files. A Trainer has to keep these columns (`remove_unused_columns=False`) and should take rows in their
    order (a sequential sampler, one "epoch"): the shuffling is done here, by seed and epoch.

    Args:
        corpus: of two documents at least.
        tokenizer: that of the corpus.
        cache: where plans are kept; by default `default_cache()`.
        progress: whether planning shows a bar.

    Raises `DataError`.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: PreTrainedTokenizerFast,
        packing: Packing | None = None,
        *,
        seed: int = 0,
        epochs: int = 1,
        duplicates: int = 10,
        dynamic: bool = True,
        cache: Path | None = None,
        progress: bool = True,
    ) -> None:
        if epochs < 1 or duplicates < 1:
            raise DataError("there must be one epoch and one duplicate at least")
        packing = packing or Packing()
        self.corpus, self.seed, self.dynamic = corpus, seed, dynamic
        self.cls, self.sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        place = (default_cache() if cache is None else Path(cache)) / "plans"

        def plan(duplicate: int) -> NDArray[np.void]:
            def build(folder: Path) -> None:
                np.save(folder / "pairs.npy", plan_pairs(corpus, packing, (seed, duplicate), progress))

            key = digest(corpus.key, packing.max_length, packing.short, seed, duplicate, PAIR.descr)
            pairs: NDArray[np.void] = np.load(cached(place / key, build) / "pairs.npy", mmap_mode="r")
            return pairs

        self.plans = [plan(duplicate) for duplicate in range(min(epochs, duplicates))]
        sizes = [len(self.plans[epoch % len(self.plans)]) for epoch in range(epochs)]
        self.starts = np.cumsum([0, *sizes])
        self._order = lru_cache(maxsize=2)(_order)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(number)
        epoch = bisect_right(self.starts, number) - 1
        duplicate = epoch % len(self.plans)
        pairs = self.plans[duplicate]
        example = int(self._order(self.seed, epoch, len(pairs))[number - self.starts[epoch]])
        row = make_example(self.corpus, pairs[example], self.cls, self.sep)
        return row | {"draw": epoch if self.dynamic else duplicate, "example": example}


def _order(seed: int, epoch: int, size: int) -> Any:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(size)


class StreamedExamples(IterableDataset[Example]):
    """Examples of text that is read as it is needed, without end where `epochs` is None: nothing is stored.

    Documents are tokenised and packed by the block; a random B comes from the same block. Several workers of a loader
    give the batches that one gives: each reads everything and keeps its batches.

    Args:
        sources: where text comes from; weights are the library's (`interleave_datasets`).
        batch_size: the loader's.
        block: documents that are packed together, and among whose examples the order is drawn.
    """

    def __init__(
        self,
        sources: list[TextSource],
        tokenizer: PreTrainedTokenizerFast,
        packing: Packing | None = None,
        *,
        batch_size: int,
        seed: int = 0,
        epochs: int | None = 1,
        block: int = 1000,
        cache: Path | None = None,
    ) -> None:
        self.sources, self.packing, self.batch_size = sources, packing or Packing(), batch_size
        self.seed, self.epochs, self.block = seed, epochs, max(2, block)
        self.backend = plain(tokenizer)
        self.cls, self.sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.cache = default_cache() if cache is None else Path(cache)
        self.documents = _mixed(sources, seed, self.cache)

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()
        for number, row in enumerate(self._examples()):
            if worker is None or number // self.batch_size % worker.num_workers == worker.id:
                yield row

    def _examples(self) -> Iterator[Example]:
        epoch = 0
        while self.epochs is None or epoch < self.epochs:
            start = 0
            for number, corpus in enumerate(self._blocks()):
                pairs = plan_pairs(corpus, self.packing, (self.seed, epoch, number))
                for example in np.random.default_rng([self.seed, _ORDER, epoch, number]).permutation(len(pairs)):
                    row = make_example(corpus, pairs[example], self.cls, self.sep)
                    yield row | {"draw": epoch, "example": start + int(example)}
                start += len(pairs)
            if start == 0:
                raise no_documents(self.sources)
            epoch += 1

    def _blocks(self) -> Iterator[Corpus]:
        """Blocks of documents; the last has more of them, so that none is too small."""
        held: list[dict[str, Any]] = []
        for texts in self.documents.iter(batch_size=100):
            rows = tokenise_texts(texts["text"], self.backend, self.sources[0].sentences, id_type(self.backend))
            held += [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
            while len(held) >= 2 * self.block:
                yield _in_memory(held[: self.block])
                held = held[self.block :]
        if len(held) >= 2:
            yield _in_memory(held)


def _in_memory(rows: list[dict[str, Any]]) -> Corpus:
    tokens = np.concatenate([row["input_ids"] for row in rows])
    counts = np.array([len(row["sentence_lengths"]) for row in rows])
    return corpus_of([tokens], [row["sentence_lengths"] for row in rows], [counts], key="")


def _mixed(sources: list[TextSource], seed: int, cache: Path) -> Any:
    from datasets import concatenate_datasets, interleave_datasets

    streams = [stream(source, cache) for source in sources]
    if len(streams) == 1:
        return streams[0]
    if all(source.weight is None for source in sources):
        return concatenate_datasets(streams)
    weights = np.array([source.weight or 1.0 for source in sources])
    shares = (weights / weights.sum()).tolist()
    return interleave_datasets(streams, probabilities=shares, seed=seed, stopping_strategy="all_exhausted")
