"""The rows of a run: pairs out of tokens that are stored, or of text that is read as it is needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Subset
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.corpus import Corpus, load_corpus
from autobertc.runtime.data.examples import PackedExamples, StreamedExamples, first_documents
from autobertc.runtime.data.packing import Packing
from autobertc.runtime.training.batches import batch_sizes, steps_within
from autobertc.runtime.training.recipes import Recipe, TrainingError

if TYPE_CHECKING:
    from autobertc.runtime.training.preparation import Pretraining

Counts = NDArray[np.int64]
_COUNTED_TOKENS = 5_000_000
_STREAM_START = 1_000_000  # tokens of a stream that are counted, and whose held-out documents are scored


@dataclass(frozen=True)
class Rows:
    """What a run trains on and is scored on.

    Attributes:
        examples: one after the other, as the steps take them.
        sizes: sequences of each step, `[steps]`.
        held_out: examples that are scored at the end, if any.
        counts, held_out_counts: how often each token is (`token_counts`).
        key: a hash of the text.
        told: how much it is, in words.
    """

    examples: Any
    sizes: NDArray[np.int64]
    held_out: PackedExamples | None
    counts: Counts
    held_out_counts: Counts | None
    key: str
    told: str


def stored_rows(run: Pretraining, tokenizer: PreTrainedTokenizerFast, quantum: int, bars: bool) -> Rows:
    """Rows of text that is tokenised once and kept. Raises `UserError`.

    Args:
        quantum: how many micro-batches a step has, over all devices.
    """
    train, rest = load_corpus(run.sources, tokenizer, seed=run.seed), None
    if run.held_out:
        train, rest = train.split(run.held_out, seed=run.seed)
    packing = Packing(run.recipe.length)
    make = partial(PackedExamples, tokenizer=tokenizer, packing=packing, seed=run.seed, progress=bars)
    examples, sizes = _readings(partial(make, train), run.recipe, quantum)
    entries, pairs = len(tokenizer), int(examples.starts[1])
    return Rows(
        examples=Subset(examples, range(int(sizes.sum()))),
        sizes=sizes,
        held_out=None if rest is None else make(rest, epochs=1),
        counts=token_counts(train, entries),
        held_out_counts=None if rest is None else token_counts(rest, entries),
        key=train.key,
        told=f"{train.num_tokens:,} tokens, {pairs:,} pairs an epoch, {sizes.sum() / max(1, pairs):.3g} epochs",
    )


def streamed_rows(run: Pretraining, tokenizer: PreTrainedTokenizerFast, together: int) -> Rows:
    """Rows of text that is read as it is needed, again from its start where it ends. Raises `UserError`.

    Args:
        together: sequences that all devices take at a time; of several workers each keeps so many in a row.
    """
    recipe = run.recipe
    if recipe.steps is None:
        raise TrainingError("a stream has no length: give the number of steps (--steps)")
    if recipe.batch_ramp:
        raise TrainingError("the batch cannot grow on a stream: leave out --batch-ramp, or --streaming")
    if run.tokenizer is None:
        raise TrainingError("no tokenizer is trained on a stream: name one, or text to train it on (--tokenizer)")
    train, rest = first_documents(
        list(run.sources), tokenizer, tokens=_STREAM_START, held_out=run.held_out, seed=run.seed
    )
    packing, entries = Packing(recipe.length), len(tokenizer)
    examples = StreamedExamples(
        list(run.sources),
        tokenizer,
        packing,
        batch_size=together,
        seed=run.seed,
        epochs=None,
        held_out=run.held_out,
    )
    held_out = None
    if rest is not None:
        held_out = PackedExamples(rest, tokenizer, packing, seed=run.seed, progress=False)
    return Rows(
        examples=examples,
        sizes=batch_sizes(recipe.steps, recipe.batch, 0.0),
        held_out=held_out,
        counts=token_counts(train, entries),
        held_out_counts=None if rest is None else token_counts(rest, entries),
        key="a stream",
        told=f"a stream, of which the first {train.num_tokens:,} tokens are counted",
    )


def _readings(
    make: Callable[..., PackedExamples], recipe: Recipe, quantum: int
) -> tuple[PackedExamples, NDArray[np.int64]]:
    """As many epochs as the recipe asks for or its steps need, and the sequences of each step."""
    if recipe.steps is None:
        examples = make(epochs=recipe.epochs)
        steps = steps_within(len(examples), recipe.batch, recipe.batch_ramp, quantum)
        if steps == 0:
            raise TrainingError(f"{len(examples)} pairs are too few for one batch of {recipe.batch}")
        return examples, batch_sizes(steps, recipe.batch, recipe.batch_ramp, quantum)
    sizes = batch_sizes(recipe.steps, recipe.batch, recipe.batch_ramp, quantum)
    needed, epochs = int(sizes.sum()), 1
    examples = make(epochs=epochs)
    while len(examples) < needed:
        epochs = max(epochs + 1, math.ceil(needed * epochs / len(examples)))
        examples = make(epochs=epochs)
    return examples, sizes


def token_counts(corpus: Corpus, entries: int) -> Counts:
    """How often each of a vocabulary's entries is in the first millions of a corpus's tokens, `[entries]`."""
    counts, seen = np.zeros(entries, np.int64), 0
    for document in corpus.documents:
        first, end = corpus.sentence_starts[corpus.document_starts[document : document + 2]]
        counts += np.bincount(corpus.tokens(int(first), int(end)), minlength=entries)
        seen += int(end - first)
        if seen > _COUNTED_TOKENS:
            break
    return counts


def log_shares(counts: Counts) -> NDArray[np.float64]:
    """The logarithm of each entry's share of the tokens, `[entries]`, with one more of each, so that none is 0."""
    more = counts + 1
    logarithms: NDArray[np.float64] = np.log(more / more.sum())
    return logarithms


def unigram_loss(counts: Counts, on: Counts | None = None) -> float:
    """The loss in nats of a model that knows how often tokens are and nothing else: the entropy of `counts`, or on
    other text, whose counts are `on`, with one more of each entry, so that none has the probability 0."""
    if on is None:
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    return float(-(on * log_shares(counts)).sum() / on.sum())
