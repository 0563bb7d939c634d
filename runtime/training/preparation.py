"""What a pre-training run is made of, made ready: settings checked, a tokenizer, tokens, pairs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Subset
from transformers import PreTrainedTokenizerFast

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.corpus import Corpus, load_corpus, plain
from autobertc.runtime.data.examples import PackedExamples
from autobertc.runtime.data.masking import Masking, MaskingCollator
from autobertc.runtime.data.packing import Packing
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.emission import check_memory
from autobertc.runtime.flops import plain_flops
from autobertc.runtime.tokenizer import holds_tokenizer, make_tokenizer
from autobertc.runtime.training.recipes import Recipe, TrainingError

_VOCABULARY_MULTIPLE = 64
_COUNTED_TOKENS = 5_000_000
_BACKWARD = 3  # forward and backward pass, in forward passes


@dataclass(frozen=True)
class Pretraining:
    """What a run is made of.

    Attributes:
        architecture: the backbone; its vocabulary's size becomes that of the tokenizer where they differ.
        source: the text it was read from.
        recipe: the numbers.
        sources: of text.
        tokenizer: a tokenizer's folder, or text to train one on; None: one is trained on the sources.
        vocab: entries of a tokenizer that is trained; None for the header's.
        held_out: the share of documents that are not trained on, whose losses are told at the end; 0 for none.
        seed: of weights, dropout, pairs, orders and masks.
        micro_batch: sequences at a time on a device; None for all of a step's.
        log_every, save_every: steps; None for what suits the number of steps. Saving happens where logging does.
        workers: processes that collate; None for what suits the device.
        report_to: names of the library's integrations, such as `tensorboard`.
    """

    architecture: Architecture
    source: str
    recipe: Recipe
    sources: tuple[TextSource, ...] = (TextSource("default"),)
    tokenizer: Path | None = None
    vocab: int | None = None
    held_out: float = 0.05
    seed: int = 0
    micro_batch: int | None = None
    log_every: int | None = None
    save_every: int | None = None
    workers: int | None = None
    report_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs, checked."""

    architecture: Architecture
    source: str | None
    tokenizer: PreTrainedTokenizerFast
    examples: Subset[Any]
    held_out: PackedExamples | None
    steps: int
    log_every: int
    save_every: int
    baselines: dict[str, float]
    settings: dict[str, Any]


def prepare(run: Pretraining, say: Callable[[str], None] = print, bars: bool = False) -> Prepared:
    """Tokenizer, tokens and pairs, from the cache or made now. Raises `UserError`."""
    recipe, sizes = run.recipe, run.architecture.sizes
    if recipe.length > sizes.max_length:
        raise TrainingError(
            f"the length is {recipe.length}, but the model's max_length {sizes.max_length}: set one of them"
        )
    accumulation(run)
    masking, packing = Masking(recipe.mask_rate, whole_words=recipe.whole_words), Packing(recipe.length)
    tokenizer = _tokenizer(run)
    architecture, source = fit_vocabulary(run.architecture, run.source, len(tokenizer))
    check_memory(architecture)
    MaskingCollator(tokenizer, masking)  # raises where the tokenizer has no masks
    corpus = load_corpus(run.sources, tokenizer, seed=run.seed)
    train, rest = corpus, None
    if run.held_out:
        if not 0 < run.held_out < 1:
            raise TrainingError(f"the share held out must be at least 0 and below 1, not {run.held_out:g}")
        train, rest = corpus.split(run.held_out, seed=run.seed)
    make = partial(PackedExamples, tokenizer=tokenizer, packing=packing, seed=run.seed, progress=bars)
    examples, steps = _readings(partial(make, train), recipe)
    log_every = run.log_every or min(100, max(1, steps // 30))
    save_every = run.save_every or min(1000, max(1, steps // 10))
    save_every = -(-save_every // log_every) * log_every  # a checkpoint has no half of a window of logs
    counts = token_counts(train, len(tokenizer))
    entropy = unigram_loss(counts)
    baselines = {"unigram_entropy": entropy}
    if rest is not None:
        baselines["held_out_unigram_loss"] = unigram_loss(counts, token_counts(rest, len(tokenizer)))
    epochs = len(examples) / max(1, examples.starts[1])
    say(
        f"data: {', '.join(map(str, run.sources))}: {train.num_tokens:,} tokens, {examples.starts[1]:,} pairs an epoch;"
        f" vocabulary {len(tokenizer):,}; unigram entropy {entropy:.3f} nats"
    )
    say(f"training: {steps:,} steps of {recipe.batch} sequences of {recipe.length}, {epochs:.3g} epochs")
    settings = {
        "genome": print_architecture(architecture),
        "sources": [str(source) for source in run.sources],
        "corpus": train.key,
        "tokenizer": digest(plain(tokenizer).to_str()),
        "recipe": recipe.to_dict(),
        "steps": steps,
        "seed": run.seed,
        "held_out": run.held_out,
        "micro_batch": run.micro_batch,
        "log_every": log_every,
        "save_every": save_every,
    }
    return Prepared(
        architecture=architecture,
        source=source,
        tokenizer=tokenizer,
        examples=Subset(examples, range(steps * recipe.batch)),
        held_out=None if rest is None else make(rest, epochs=1),
        steps=steps,
        log_every=log_every,
        save_every=save_every,
        baselines=baselines,
        settings=settings,
    )


def accumulation(run: Pretraining) -> tuple[int, int]:
    """Sequences at a time on a device, and how many times a step."""
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    batch = run.recipe.batch
    if batch % devices:
        raise TrainingError(f"a batch of {batch} does not divide among {devices} devices")
    micro = run.micro_batch or batch // devices
    if micro < 1 or batch // devices % micro:
        raise TrainingError(f"a batch of {batch // devices} on a device is not a multiple of {micro} at a time")
    return micro, batch // devices // micro


def _tokenizer(run: Pretraining) -> PreTrainedTokenizerFast:
    sizes = run.architecture.sizes
    vocab = run.vocab or sizes.vocab
    if run.tokenizer is None:
        return train_tokenizer(run.sources, vocab, sizes.max_length)
    given = run.tokenizer.is_dir() and holds_tokenizer(run.tokenizer)
    return make_tokenizer(run.tokenizer, 2**31 if given else vocab, sizes.max_length)


def fit_vocabulary(architecture: Architecture, source: str, entries: int) -> tuple[Architecture, str | None]:
    """The architecture with a vocabulary of at least so many entries, and its text where nothing changed.

    The header's stays where it is at most a multiple of 64 too large; otherwise it is the next such multiple.
    """
    vocab = architecture.sizes.vocab
    if entries <= vocab < entries + _VOCABULARY_MULTIPLE:
        return architecture, source
    fitting = -(-entries // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE
    return replace(architecture, sizes=replace(architecture.sizes, vocab=fitting)), None


def _readings(make: Callable[..., PackedExamples], recipe: Recipe) -> tuple[PackedExamples, int]:
    """As many epochs as the recipe asks for or its steps need, and the number of steps."""
    if recipe.steps is None:
        examples = make(epochs=recipe.epochs)
        steps = len(examples) // recipe.batch
        if steps == 0:
            raise TrainingError(f"{len(examples)} pairs are too few for one batch of {recipe.batch}")
        return examples, steps
    needed, epochs = recipe.steps * recipe.batch, 1
    examples = make(epochs=epochs)
    while len(examples) < needed:
        epochs = max(epochs + 1, math.ceil(needed * epochs / len(examples)))
        examples = make(epochs=epochs)
    return examples, recipe.steps


def token_counts(corpus: Corpus, entries: int) -> NDArray[np.int64]:
    """How often each of a vocabulary's entries is in the first millions of a corpus's tokens, `[entries]`."""
    counts, seen = np.zeros(entries, np.int64), 0
    for document in corpus.documents:
        first, end = corpus.sentence_starts[corpus.document_starts[document : document + 2]]
        counts += np.bincount(corpus.tokens(int(first), int(end)), minlength=entries)
        seen += int(end - first)
        if seen > _COUNTED_TOKENS:
            break
    return counts


def unigram_loss(counts: NDArray[np.int64], on: NDArray[np.int64] | None = None) -> float:
    """The loss in nats of a model that knows how often tokens are and nothing else: the entropy of `counts`, or on
    other text, whose counts are `on`, with one more of each entry, so that none has the probability 0."""
    if on is None:
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    shares = (counts + 1) / (counts + 1).sum()
    return float(-(on * np.log(shares)).sum() / on.sum())


def step_flops(architecture: Architecture, recipe: Recipe) -> float:
    """Floating-point operations of training on one sequence: the backbone, and the vocabulary's head on masked tokens;
    the backward pass counts twice the forward pass."""
    sizes = architecture.sizes
    width = sizes.embedding or sizes.hidden
    head = 2 * width * (sizes.hidden + sizes.vocab) * Masking(recipe.mask_rate).count(recipe.length)
    return float(_BACKWARD * (plain_flops(architecture, recipe.length).total + head))
