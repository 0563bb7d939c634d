"""What a pre-training run is made of, made ready: settings checked, a tokenizer, tokens, pairs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.examples import PackedExamples
from autobertc.runtime.data.masking import Masking, MaskingCollator
from autobertc.runtime.data.packing import Packing
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.emission import check_memory
from autobertc.runtime.flops import plain_flops
from autobertc.runtime.tokenizer import holds_tokenizer, make_tokenizer
from autobertc.runtime.training.devices import can_compile
from autobertc.runtime.training.initial_weights import InitialWeights, tokenizer_digest
from autobertc.runtime.training.recipes import Recipe, TrainingError
from autobertc.runtime.training.rows import log_shares, stored_rows, streamed_rows, unigram_loss

_VOCABULARY_MULTIPLE = 64
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
        initial: weights to start from where names and shapes agree; the others are drawn from the seed.
        streaming: text is read as it is needed, and not stored as tokens; the recipe has a number of steps then.
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
    initial: InitialWeights | None = None
    streaming: bool = False


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs, checked; `sizes` are the sequences of each step, `[steps]`, and `log_shares` the
    logarithm of each token's share of the text, `[entries of the tokenizer]`."""

    architecture: Architecture
    source: str | None
    tokenizer: PreTrainedTokenizerFast
    examples: Any
    held_out: PackedExamples | None
    sizes: NDArray[np.int64]
    log_shares: NDArray[np.float64]
    log_every: int
    save_every: int
    baselines: dict[str, float]
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.sizes)


def prepare(run: Pretraining, say: Callable[[str], None] = print, bars: bool = False) -> Prepared:
    """Tokenizer, tokens and pairs, from the cache or made now. Raises `UserError`."""
    recipe = run.recipe
    check_settings(run)
    tokenizer = _tokenizer(run)
    architecture, source = fit_vocabulary(run.architecture, run.source, len(tokenizer))
    check_memory(architecture)
    MaskingCollator(tokenizer, masking(recipe))  # raises where the tokenizer has no masks
    micro, times = accumulation(run)
    if run.streaming:
        rows = streamed_rows(run, tokenizer, micro * devices())
    else:
        rows = stored_rows(run, tokenizer, times * devices(), bars)
    steps = len(rows.sizes)
    log_every = run.log_every or min(100, max(1, steps // 30))
    save_every = run.save_every or min(1000, max(1, steps // 10))
    save_every = -(-save_every // log_every) * log_every  # a checkpoint has no half of a window of logs
    entropy = unigram_loss(rows.counts)
    baselines = {"unigram_entropy": entropy}
    if rows.held_out_counts is not None:
        baselines["held_out_unigram_loss"] = unigram_loss(rows.counts, rows.held_out_counts)
    sources = [str(source) for source in run.sources]
    say(f"data: {', '.join(sources)}: {rows.told}; vocabulary {len(tokenizer):,}; unigram entropy {entropy:.3f} nats")
    growing = f", growing from {rows.sizes[0]:,}" if recipe.batch_ramp and steps else ""
    say(f"training: {steps:,} steps of {recipe.batch} sequences of {recipe.length}{growing}")
    settings = {
        "genome": print_architecture(architecture),
        "sources": sources,
        "corpus": rows.key,
        "tokenizer": tokenizer_digest(tokenizer),
        "initial": None if run.initial is None else run.initial.digest,
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
        examples=rows.examples,
        held_out=rows.held_out,
        sizes=rows.sizes,
        log_shares=log_shares(rows.counts),
        log_every=log_every,
        save_every=save_every,
        baselines=baselines,
        settings=settings,
    )


def check_settings(run: Pretraining) -> None:
    """What can be wrong before data is looked at. Raises `UserError`."""
    recipe, sizes = run.recipe, run.architecture.sizes
    if recipe.length > sizes.max_length:
        raise TrainingError(
            f"the length is {recipe.length}, but the model's max_length {sizes.max_length}: set one of them"
        )
    if not 0 <= run.held_out < 1:
        raise TrainingError(f"the share held out must be at least 0 and below 1, not {run.held_out:g}")
    if recipe.compile and not can_compile():
        raise TrainingError("--compile is for a GPU: on a CPU it takes a minute, and training is slower after it")
    accumulation(run)
    masking(recipe)
    Packing(recipe.length)


def masking(recipe: Recipe) -> Masking:
    """What a recipe masks. Raises `DataError`."""
    return Masking(recipe.mask_rate, whole_words=recipe.whole_words)


def devices() -> int:
    """How many processes train together, one a device (`torchrun`)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def accumulation(run: Pretraining) -> tuple[int, int]:
    """Sequences at a time on a device, and how many times a step."""
    batch, count = run.recipe.batch, devices()
    if batch % count:
        raise TrainingError(f"a batch of {batch} does not divide among {count} devices")
    micro = run.micro_batch or batch // count
    if micro < 1 or batch // count % micro:
        raise TrainingError(f"a batch of {batch // count} on a device is not a multiple of {micro} at a time")
    return micro, batch // count // micro


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


def step_flops(architecture: Architecture, recipe: Recipe) -> float:
    """Floating-point operations of training on one sequence: the backbone, and the vocabulary's head on masked tokens;
    the backward pass counts twice the forward pass."""
    sizes = architecture.sizes
    width = sizes.embedding or sizes.hidden
    head = 2 * width * (sizes.hidden + sizes.vocab) * masking(recipe).count(recipe.length)
    return float(_BACKWARD * (plain_flops(architecture, recipe.length).total + head))
