"""Tokens a second of `pretrain` with the modern preset, beside a plain Trainer loop with BertForMaskedLM; the head on
masked positions alone; and how long a step waits for its rows.

Both loops have the same rows in the same order. They take turns in trainings of a few steps, the first of which is
not counted.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measure import Row, Section, Settings, Work, compare, interval
from models import SMALL, compiled, example, reference, sized
from training_step import labelled_batch, step
from transformers import DataCollatorForLanguageModeling, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.reading import quiet
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.tokenizer import save_tokenizer
from autobertc.runtime.training.preparation import Prepared, Pretraining, prepare
from autobertc.runtime.training.pretraining import first_weights, make_trainer
from autobertc.runtime.training.recipes import recipe
from autobertc.runtime.training.silence import library_silent

FASTER = 1.5
MOST_WAIT = 2.0
WARM, COUNTED = 1, 4  # steps of a training
MASK_RATE = 0.3  # the modern preset's
VOCABULARIES = (30522, 8192)


class Clock(TrainerCallback):
    """How long the counted steps of a training take, from the start of the first to the end of the last: with the
    reading of rows, without setting up."""

    def __init__(self) -> None:
        self.start = self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == WARM:
            self.start = time.perf_counter()
        elif state.global_step == WARM + COUNTED:
            self.seconds = time.perf_counter() - self.start


def tokenizer_of(entries: int, folder: Path) -> Path:
    """A tokenizer of exactly so many entries: the default text has fewer words, so some are never seen."""
    save_tokenizer(train_tokenizer([TextSource("default")], entries, 512), folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    words |= {f"[unused{number}]": number for number in range(len(words), entries)}
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def run_of(architecture: Architecture, settings: Settings, tokenizer: Path) -> Pretraining:
    """A run of the modern preset, of as many steps as a turn has."""
    changes = {"steps": WARM + COUNTED, "batch": settings.batch, "length": settings.length}
    return Pretraining(
        architecture=architecture,
        source=print_architecture(architecture),
        recipe=recipe("modern", changes),
        tokenizer=tokenizer,
        held_out=0.0,
        log_every=1,
    )


def plain_trainer(architecture: Architecture, settings: Settings, prepared: Prepared, place: Path) -> Trainer:
    """What one writes without autobertc: BertForMaskedLM, the library's collator, AdamW, dropout 0.1, float32."""
    arguments = TrainingArguments(
        output_dir=str(place),
        max_steps=WARM + COUNTED,
        per_device_train_batch_size=settings.batch,
        learning_rate=1e-4,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
        train_sampling_strategy="sequential",
    )
    columns = ("input_ids", "token_type_ids")
    rows = [{name: prepared.examples[n][name] for name in columns} for n in range(len(prepared.examples))]
    collate = DataCollatorForLanguageModeling(prepared.tokenizer, mlm_probability=MASK_RATE)
    model = reference(architecture, settings, dropout=0.1, head="masked-lm")
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    trainer.remove_callback(PrinterCallback)
    return trainer


def turn(trainer: Any) -> Callable[[], float]:
    """Seconds of the counted steps of a training, to be called again and again."""
    clock = Clock()
    trainer.add_callback(clock)
    trainer.args.save_strategy = "no"

    def work() -> float:
        trainer.train()
        return clock.seconds

    return work


def compare_speed(
    what: str, ours: Callable[[], float], beside: str, theirs: Callable[[], float], tokens: int, pairs: int
) -> Row:
    """The ratio of tokens a second, one training each a pair, the first of a pair in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    ours(), theirs()
    for pair in range(pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            found[side].append(tokens / (ours, theirs)[side]())
    ratios = [own / foreign for own, foreign in zip(*found, strict=True)]
    speeds = (median(found[0]), median(found[1]))
    return Row(what, beside, "tokens/s", *speeds, median(ratios), *interval(ratios), FASTER, at_least=True)


def _loops(name: str, settings: Settings, place: Path, tokenizer: Path) -> list[Row]:
    architecture = sized(name, settings)
    run = run_of(architecture, settings, tokenizer)
    prepared = prepare(run, say=lambda line: None)
    model = first_weights(run, prepared, lambda line: None)
    ours = make_trainer(run, prepared, place / "ours", lambda line: None, False, model)
    theirs = plain_trainer(architecture, settings, prepared, place / "theirs")
    first = WARM * settings.batch
    counted = range(first, first + COUNTED * settings.batch)
    tokens = sum(len(prepared.examples[number]["input_ids"]) for number in counted)
    waits: list[float] = []

    class Waits(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if state.global_step > WARM and "input_wait" in (logs or {}):
                waits.append(100 * logs["input_wait"])

    ours.add_callback(Waits())
    precision = "bf16" if ours.args.bf16 else "float32"
    title = f"{name}, pretrain, modern, {precision}"
    row = compare_speed(title, turn(ours), "Trainer, BertForMaskedLM", turn(theirs), tokens, settings.pairs)
    wait = Row(f"{name}, waiting for rows", "", "% of a step", median(waits), None, median(waits), target=MOST_WAIT)
    return [row, replace(wait, low=interval(waits)[0], high=interval(waits)[1])]


def _head(model: Any, hidden: torch.Tensor, labels: torch.Tensor, everywhere: bool) -> Work:
    def work() -> None:
        hidden.grad = None
        model.zero_grad(set_to_none=True)
        model.predict(hidden, labels, everywhere)[1].backward()

    return work


def _heads(settings: Settings) -> list[Row]:
    """The same model, the same labels, the head on masked positions only and on all: by itself, and in a step."""
    rows = []
    architecture = example("autobert-zero-small")
    for vocabulary in dict.fromkeys((settings.vocabulary, *(v for v in VOCABULARIES if v < settings.vocabulary))):
        sized = replace(settings, vocabulary=vocabulary)
        inputs = labelled_batch(sized, MASK_RATE)
        models = [compiled(architecture, sized, head="masked-lm") for _ in range(2)]
        models[1].config.sparse_prediction = False
        shape = (settings.batch, settings.length, settings.hidden)
        hidden = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
        masked, whole = (_head(models[0], hidden, inputs["labels"], everywhere) for everywhere in (False, True))
        what = f"head on masked words, {vocabulary:,}"
        rows.append(compare(f"{what}, forward + backward", masked, "head on all words", whole, settings.pairs))
        steps = [step(model, inputs) for model in models]
        rows.append(compare(f"{what}, training step", steps[0], "head on all words", steps[1], settings.pairs))
    return rows


def training_speed(settings: Settings) -> Section:
    """Both genomes beside BERT; the head; and the wait."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, library_silent(), quiet(progress=False):
        place = Path(folder)
        tokenizer = tokenizer_of(settings.vocabulary, place / "tokenizer")
        for name in reversed(SMALL):
            rows += _loops(name, settings, place / name, tokenizer)
    return Section("Training: loops in tokens a second, the head, the wait for rows", (*rows, *_heads(settings)))
