"""A pre-training run: from sources of text and an architecture to a model folder, stopped and resumed at will.

While it runs everything is in `RUN.training`: settings, checkpoints, and the state where numbers ended. At the end the
model folder appears as `RUN`, whole, and the other goes. Rows have their order from the seed and their masks from seed,
epoch and example, so what a checkpoint has to say of the data is the number of its step.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.utils.data import Subset
from transformers import PreTrainedTokenizerFast, TrainerCallback, TrainingArguments

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.corpus import Corpus, load_corpus, plain
from autobertc.runtime.data.examples import PackedExamples
from autobertc.runtime.data.masking import Masking, MaskingCollator
from autobertc.runtime.data.packing import Packing
from autobertc.runtime.data.reading import quiet
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.emission import check_memory, emit, initial_model
from autobertc.runtime.files import OutputError, new_directory, write_text
from autobertc.runtime.flops import plain_flops
from autobertc.runtime.tokenizer import holds_tokenizer, make_tokenizer, save_tokenizer
from autobertc.runtime.training import checkpoints
from autobertc.runtime.training.devices import device_name, has_bf16, peak_flops
from autobertc.runtime.training.model_card import write_card
from autobertc.runtime.training.progress import Progress
from autobertc.runtime.training.recipes import Recipe, TrainingError
from autobertc.runtime.training.reports import check_reports
from autobertc.runtime.training.trainer import Identified, PretrainingTrainer

_DROPOUTS = {
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "kernel_dropout_prob": "kernel_dropout",
}
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
    entropy: float
    settings: dict[str, Any]


def pretrain(
    run: Pretraining, output: Path, *, resume: bool = False, say: Callable[[str], None] = print, bars: bool = False
) -> dict[str, Any]:
    """Train, write the model folder `output`, and return its metrics.

    Args:
        resume: go on from the latest whole checkpoint of an interrupted run with the same settings, if there is one.
        say: prints a line for the user.
        bars: whether a terminal looks on.

    Raises `UserError` for all that is wrong with settings, data or output before training starts, and
    `TrainingError` where a loss is not finite.
    """
    output = Path(output).absolute()
    work = output.with_name(f"{output.name}.training")
    main = int(os.environ.get("RANK", "0")) == 0
    say = say if main else _silent
    if resume and (output / "training.json").is_file():
        say(f"{output} is finished")
        shutil.rmtree(work, ignore_errors=True)
        return dict(json.loads((output / "training.json").read_text(encoding="utf-8"))["metrics"])
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise OutputError(f"cannot write {output}: it is there already")
    if work.exists() and not resume and main:
        raise OutputError(f"{work} holds an unfinished run: go on with --resume, or remove it")
    check_reports(run.report_to)
    with _library_silent(), quiet(progress=bars and main):
        prepared = prepare(run, say, bars and main)
        checkpoint = _enter(work, prepared.settings, say) if main else checkpoints.latest(work / "checkpoints")[0]
        trainer = make_trainer(run, prepared, work, say, bars and main)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        return _finish(run, prepared, trainer, output, work, say)


def _silent(line: str) -> None:
    pass


@contextmanager
def _library_silent() -> Iterator[None]:
    """The library's log at errors, and no bars of its own: what a person needs to know is said here."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


def prepare(run: Pretraining, say: Callable[[str], None] = print, bars: bool = False) -> Prepared:
    """Tokenizer, tokens and pairs, from the cache or made now. Raises `UserError`."""
    recipe, sizes = run.recipe, run.architecture.sizes
    if recipe.length > sizes.max_length:
        raise TrainingError(
            f"the length is {recipe.length}, but the model's max_length {sizes.max_length}: set one of them"
        )
    _accumulation(run)
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
    entropy = unigram_entropy(train)
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
        entropy=entropy,
        settings=settings,
    )


def _accumulation(run: Pretraining) -> tuple[int, int]:
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


def unigram_entropy(corpus: Corpus) -> float:
    """The entropy of a corpus's tokens in nats: the loss of a model that knows their frequencies and nothing else."""
    counts, seen = np.zeros(1, np.int64), 0
    for document in corpus.documents:
        first, end = corpus.sentence_starts[corpus.document_starts[document : document + 2]]
        found = np.bincount(corpus.tokens(int(first), int(end)), minlength=len(counts))
        found[: len(counts)] += counts
        counts, seen = found, seen + int(end - first)
        if seen > _COUNTED_TOKENS:
            break
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _enter(work: Path, settings: dict[str, Any], say: Callable[[str], None]) -> Path | None:
    """Make the folder of a run, or find where an interrupted one can go on. Raises `TrainingError`."""
    path = work / "run.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if changed := [name for name, value in settings.items() if before.get(name) != value]:
            raise TrainingError(
                f"cannot resume {work}: other settings than it was started with: {', '.join(changed)}; "
                "give the same ones, or remove the folder"
            )
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {work}: {error.strerror}") from error
    write_text(path, json.dumps(settings, indent=1) + "\n")
    found, broken = checkpoints.latest(work / "checkpoints")
    for folder in broken:
        say(f"passing over {folder.name}: it is not whole")
        shutil.rmtree(folder, ignore_errors=True)
    if found is not None:
        say(f"resuming after step {checkpoints.step_of(found):,}")
    return found


class _LogAtEnd(TrainerCallback):
    """The last window of steps is logged even where it is shorter."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True


def make_trainer(
    run: Pretraining, prepared: Prepared, work: Path, say: Callable[[str], None], bars: bool
) -> PretrainingTrainer:
    """The model, with weights drawn from the seed, in its trainer."""
    recipe, steps = run.recipe, prepared.steps
    micro, accumulation = _accumulation(run)
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and has_bf16())
    dropout = {} if recipe.dropout is None else dict.fromkeys(_DROPOUTS, recipe.dropout)
    padding = {"pad_token_id": prepared.tokenizer.pad_token_id}
    model = initial_model(prepared.architecture, run.seed, recipe.head, **padding, **dropout)
    gpu = torch.cuda.is_available()
    stable = recipe.schedule == "warmup-stable-decay"
    if run.report_to:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(work / "logs"))
    arguments = TrainingArguments(
        output_dir=str(work / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=micro,
        per_device_eval_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="warmup_stable_decay" if stable else "linear",
        lr_scheduler_kwargs={"num_decay_steps": recipe.decay_steps(steps), "decay_type": "linear"} if stable else {},
        warmup_steps=recipe.warmup_steps(steps),
        optim="adamw_torch_fused" if recipe.fused else "adamw_torch",
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=bf16,
        seed=run.seed % 2**32,
        logging_steps=prepared.log_every,
        logging_nan_inf_filter=False,  # such a number stops the run
        save_steps=prepared.save_every,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_num_workers=run.workers if run.workers is not None else (4 if gpu else 0),
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to=list(run.report_to),
        use_cpu=not gpu,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process a device: torchrun
    masking = Masking(recipe.mask_rate, whole_words=recipe.whole_words)
    collate = MaskingCollator(prepared.tokenizer, masking, seed=run.seed, multiple=8 if gpu else 1)
    devices = arguments.world_size
    peak = peak_flops(bf16)
    trainer = PretrainingTrainer(
        model=model,
        args=arguments,
        train_dataset=prepared.examples,
        data_collator=Identified(collate, recipe.next_sentence),
        callbacks=[_LogAtEnd(), Progress(say, bars)],
        sequence_flops=step_flops(prepared.architecture, recipe),
        peak=None if peak is None else peak * devices,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    many = f", {devices} devices" if devices > 1 else ""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"model: {parameters:,} parameters; {device_name()}{many}, {'bf16' if bf16 else 'float32'}")
    return trainer


def step_flops(architecture: Architecture, recipe: Recipe) -> float:
    """Floating-point operations of training on one sequence: the backbone, and the vocabulary's head on masked tokens;
    the backward pass counts twice the forward pass."""
    sizes = architecture.sizes
    width = sizes.embedding or sizes.hidden
    head = 2 * width * (sizes.hidden + sizes.vocab) * Masking(recipe.mask_rate).count(recipe.length)
    return float(_BACKWARD * (plain_flops(architecture, recipe.length).total + head))


def _finish(
    run: Pretraining,
    prepared: Prepared,
    trainer: PretrainingTrainer,
    output: Path,
    work: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Score what was held out, and write the model folder."""
    windows = [log for log in trainer.state.log_history if "mlm_loss" in log]
    metrics = {name: value for name, value in windows[-1].items() if name.startswith(("loss", "mlm", "nsp"))}
    metrics |= {"steps": prepared.steps, "unigram_entropy": prepared.entropy}
    if prepared.held_out is not None:
        metrics |= trainer.held_out(prepared.held_out)
    if not trainer.is_world_process_zero():
        return metrics
    model = trainer.accelerator.unwrap_model(trainer.model)
    # Rates of pre-training are not those of fine-tuning: the folder has the header's.
    for name, of_header in _DROPOUTS.items():
        setattr(model.config, name, getattr(prepared.architecture.sizes, of_header))
    model = model.float().cpu().eval()
    with new_directory(output) as folder:
        words = work / "tokenizer"
        save_tokenizer(prepared.tokenizer, words)
        emit(prepared.architecture, folder, model=model, source=prepared.source, tokenizer=words)
        if (work / "logs").is_dir():
            shutil.copytree(work / "logs", folder / "logs")
        write_card(folder, prepared.architecture, prepared.settings, metrics, windows)
    shutil.rmtree(work, ignore_errors=True)
    if "held_out_mlm_loss" in metrics:
        say(f"held out: mlm {metrics['held_out_mlm_loss']:.4f}  mlm acc {metrics['held_out_mlm_accuracy']:.3f}")
    say(f"wrote {output}")
    return metrics
