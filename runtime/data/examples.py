"""Packed examples for a Trainer: functions of their number alone, the same in any worker and in a resumed run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
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
_READ = 100  # documents of a stream at a time
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
        held_out: the share of documents that are left out, told by a hash of their text and the seed
            (`first_documents` gives some of them).
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
        held_out: float = 0.0,
        cache: Path | None = None,
    ) -> None:
        self.sources, self.packing, self.batch_size = sources, packing or Packing(), batch_size
        self.held_out = held_out
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
        for texts in self.documents.iter(batch_size=_READ):
            kept = [text for text in texts["text"] if not _is_held_out(text, self.held_out, self.seed)]
            held += _tokenised(kept, self.backend, self.sources)
            while len(held) >= 2 * self.block:
                yield _in_memory(held[: self.block])
                held = held[self.block :]
        if len(held) >= 2:
            yield _in_memory(held)


def first_documents(
    sources: list[TextSource],
    tokenizer: PreTrainedTokenizerFast,
    *,
    tokens: int,
    held_out: float = 0.0,
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[Corpus, Corpus | None]:
    """The start of a stream, of about so many tokens, and what of it `StreamedExamples` leaves out.

    Raises `DataError` where either has fewer than two documents.
    """
    backend = plain(tokenizer)
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for texts in _mixed(sources, seed, default_cache() if cache is None else Path(cache)).iter(batch_size=_READ):
        for out in (False, True):
            chosen = [text for text in texts["text"] if _is_held_out(text, held_out, seed) == out]
            found[out].extend(_tokenised(chosen, backend, sources))
        if sum(len(row["input_ids"]) for row in found[0]) >= tokens:
            break
    if len(found[0]) < 2:
        raise no_documents(sources)
    if held_out and len(found[1]) < 2:
        raise DataError(
            f"{len(found[1])} of the first {sum(map(len, found))} documents of the stream are held out, and there must "
            "be two at least; hold out a greater share, or none"
        )
    return _in_memory(found[0]), _in_memory(found[1]) if held_out else None


def _is_held_out(text: str | None, share: float, seed: int) -> bool:
    if not share:
        return False
    hashed = blake2b(f"{seed} {text}".encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(hashed) < share * 2**64


def _tokenised(texts: list[str | None], backend: Any, sources: list[TextSource]) -> list[dict[str, Any]]:
    rows = tokenise_texts(texts, backend, sources[0].sentences, id_type(backend))
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


def _in_memory(rows: list[dict[str, Any]]) -> Corpus:
    tokens = np.concatenate([row["input_ids"] for row in rows])
    counts = np.array([len(row["sentence_lengths"]) for row in rows])
    lengths = [row["sentence_lengths"] for row in rows]
    key = blake2b(tokens.tobytes() + counts.tobytes() + np.concatenate(lengths).tobytes(), digest_size=16)
    return corpus_of([tokens], lengths, [counts], key=key.hexdigest())


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
