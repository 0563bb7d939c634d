"""Tokenised text: every source's tokens once, in Arrow files under the hash of the text, the tokenizer and settings."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value, concatenate_datasets
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.cache import cached, default_cache, digest
from autobertc.runtime.data.documents import documents, fingerprint, no_documents
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.sentences import split_lines, split_sentences
from autobertc.runtime.data.sources import TextSource

Ints = NDArray[np.int64]
_CUT = {"split": split_sentences, "line": split_lines}
_VERSION = 1  # of sentences and of what is stored
_BATCH = 200


@dataclass(frozen=True)
class Corpus:
    """Tokens of sentences of documents, memory-mapped.

    Tokens are numbered from 0 through all of the text, and so are sentences: what stands side by side in a document
    has numbers side by side.

    Attributes:
        key: the hash of all of it; what is derived from the corpus is kept under it.
        chunks: the tokens, in pieces; no document is in two.
        chunk_starts: `[chunks]`, the first token of each.
        sentence_starts: `[sentences + 1]`, the first token of each, and the end of the last.
        document_starts: `[documents + 1]`, the first sentence of each, and the end of the last.
        documents: the documents in the order of reading. One may be there many times, or never.
    """

    key: str
    chunks: Sequence[NDArray[Any]]
    chunk_starts: Ints
    sentence_starts: Ints
    document_starts: Ints
    documents: Ints

    def tokens(self, start: int, stop: int) -> NDArray[Any]:
        """Tokens of one document, by their numbers."""
        chunk = bisect_right(self.chunk_starts, start) - 1
        first = int(self.chunk_starts[chunk])
        return self.chunks[chunk][start - first : stop - first]

    @property
    def num_tokens(self) -> int:
        """How many tokens one reading of the documents has."""
        ends = self.sentence_starts[self.document_starts]
        return int(np.diff(ends)[self.documents].sum())

    def select(self, positions: Ints) -> Corpus:
        """The documents at these places in the order of reading."""
        chosen = self.documents[positions]
        return replace(self, documents=chosen, key=digest(self.key, sha256(chosen.tobytes()).hexdigest()))

    def split(self, held_out: float, seed: int) -> tuple[Corpus, Corpus]:
        """Two corpora without a document in common, the second with this share of documents (two at least).

        Raises `DataError` where there are fewer than four documents.
        """
        distinct = np.unique(self.documents)
        if len(distinct) < 4:
            raise DataError(f"{len(distinct)} documents are too few to hold some out; give more text, or hold out none")
        count = min(max(2, round(held_out * len(distinct))), len(distinct) - 2)
        chosen = np.random.default_rng([seed, len(distinct)]).permutation(distinct)[:count]
        out = np.isin(self.documents, chosen)
        return self.select(np.flatnonzero(~out)), self.select(np.flatnonzero(out))


def plain(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """A copy of what a tokenizer is made of, that neither cuts nor pads. Raises `DataError` for a slow tokenizer."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise DataError(f"{type(tokenizer).__name__} is not a fast tokenizer; save one with a tokenizer.json")
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def tokenise_texts(texts: Iterable[str | None], tokenizer: Tokenizer, cut: str, dtype: str) -> dict[str, list[Any]]:
    """`input_ids` and `sentence_lengths` of documents, without those that have no tokens."""
    sentences = [_CUT[cut]((text or "").removeprefix("\ufeff")) for text in texts]
    flat = [sentence for document in sentences for sentence in document]
    ids = iter([found.ids for found in tokenizer.encode_batch_fast(flat, add_special_tokens=False)])
    rows: dict[str, list[Any]] = {"input_ids": [], "sentence_lengths": []}
    for document in sentences:
        encoded = [found for found in (next(ids) for _ in document) if found]
        if encoded:
            rows["input_ids"].append(np.concatenate([np.array(found, dtype) for found in encoded]))
            rows["sentence_lengths"].append(np.array([len(found) for found in encoded], "int32"))
    return rows


def id_type(tokenizer: Tokenizer) -> str:
    """The smallest type that holds a token's number."""
    return "uint16" if tokenizer.get_vocab_size(with_added_tokens=True) <= 2**16 else "int32"


@contextmanager
def _threads(workers: int) -> Iterator[None]:
    """The tokenizer's threads: all cores in one process, none in each of several."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if workers == 1 else "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before


def _tokenise(source: TextSource, tokenizer: Tokenizer, key: str, workers: int, cache: Path, folder: Path) -> None:
    dtype = id_type(tokenizer)
    function = partial(_rows, tokenizer=tokenizer, cut=source.sentences, dtype=dtype)
    with documents(source, cache) as table, _threads(workers):
        table.map(
            function,
            batched=True,
            batch_size=_BATCH,
            num_proc=min(workers, max(1, len(table))) if workers > 1 else None,
            remove_columns=table.column_names,
            features=Features({"input_ids": List(Value(dtype)), "sentence_lengths": List(Value("int32"))}),
            cache_file_name=str(folder / "tokens.arrow"),
            new_fingerprint=key,
            desc=f"tokenising {source}",
        )


def _rows(batch: dict[str, list[str | None]], tokenizer: Tokenizer, cut: str, dtype: str) -> dict[str, list[Any]]:
    return tokenise_texts(batch["text"], tokenizer, cut, dtype)


def _load(folder: Path) -> Dataset:
    # One file, or one for each process: their names have the order of the documents.
    return concatenate_datasets([Dataset.from_file(str(path)) for path in sorted(folder.glob("*.arrow"))])


def as_corpus(tables: Sequence[Dataset], key: str) -> Corpus:
    """Tokenised tables, one after the other, as one corpus, each document once."""
    chunks, lengths, counts = [], [], []
    for table in tables:
        chunks += [chunk.flatten().to_numpy() for chunk in table.data.column("input_ids").chunks if len(chunk)]
        for chunk in table.data.column("sentence_lengths").chunks:
            lengths.append(chunk.flatten().to_numpy())
            counts.append(chunk.value_lengths().to_numpy())
    return corpus_of(chunks, lengths, counts, key)


def corpus_of(chunks: list[Any], lengths: list[Any], counts: list[Any], key: str) -> Corpus:
    """A corpus of tokens, lengths of sentences and numbers of sentences, each in pieces."""
    starts = [np.cumsum([0, *(len(chunk) for chunk in chunks)], dtype=np.int64)]
    for pieces in (lengths, counts):
        whole = np.concatenate([np.zeros(1, np.int64), *pieces]).astype(np.int64)
        starts.append(np.cumsum(whole))
    return Corpus(key, chunks, starts[0][:-1], starts[1], starts[2], np.arange(len(starts[2]) - 1))


def mixing_order(sizes: Sequence[int], weights: Sequence[float], seed: int) -> list[tuple[int, int]]:
    """(source, document) in the order of reading: sources drawn by weight, each read in order and again from its
    start, until every one has been read whole once."""
    probabilities = np.array(weights, float) / sum(weights)
    rng = np.random.default_rng([seed, len(sizes)])
    order: list[tuple[int, int]] = []
    read = np.zeros(len(sizes), np.int64)
    while (read < sizes).any():
        for source in rng.choice(len(sizes), 4096, p=probabilities):
            order.append((int(source), int(read[source] % sizes[source])))
            read[source] += 1
            if (read >= sizes).all():
                break
    return order


def load_corpus(
    sources: Sequence[TextSource],
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int = 0,
    workers: int = 1,
    cache: Path | None = None,
) -> Corpus:
    """The tokens of sources, from the cache or put there now; the same whatever the number of workers.

    Args:
        sources: where text comes from. If one has a weight, those without have weight 1 (`mixing_order`, by `seed`).
        workers: processes that tokenise; one uses all cores by threads.
        cache: a folder; by default `default_cache()`.

    Raises `DataError`, and `OutputError` where the cache cannot be written.
    """
    cache = default_cache() if cache is None else Path(cache)
    backend = plain(tokenizer)
    tables, keys = [], []
    for source in sources:
        key = digest("tokens", _VERSION, fingerprint(source, cache), backend.to_str())
        build = partial(_tokenise, source, backend, key, workers, cache)
        tables.append(_load(cached(cache / "tokens" / key, build)))
        keys.append(key)
        if len(tables[-1]) == 0:
            raise DataError(f"{source} holds no words")
    corpus = as_corpus(tables, digest(keys))
    if any(source.weight is not None for source in sources):
        sizes = [len(table) for table in tables]
        starts = np.cumsum([0, *sizes])
        order = mixing_order(sizes, [source.weight or 1.0 for source in sources], seed)
        corpus = corpus.select(np.array([starts[source] + document for source, document in order]))
    if len(np.unique(corpus.documents)) < 2:
        raise no_documents(list(sources))
    return corpus
