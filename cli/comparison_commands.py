"""The command that compares backbones by training them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autobertc.cli.app import app
from autobertc.cli.training_options import (
    Batch,
    Data,
    Dropout,
    Epochs,
    Length,
    LogEvery,
    MaskRate,
    MicroBatch,
    Optimizer,
    Precision,
    Steps,
    Tokenizer,
    Vocab,
    Workers,
)


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(help="Architecture files, two or more.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
    preset: Annotated[str, typer.Option(help="How they are trained, as `pretrain` has it.")] = "modern",
    data: Data = None,
    steps: Steps = None,
    epochs: Epochs = None,
    learning_rates: Annotated[
        str | None, typer.Option("--lr", help="Rates to try, between commas.", show_default="0.5, 1, 2 x the preset's")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each backbone at its best learning rate.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="The first seed.", min=0, max=2**31)] = 0,
    grid_seeds: Annotated[int, typer.Option(help="Seeds that all learning rates are tried with.", min=1)] = 1,
    batch: Batch = None,
    micro_batch: MicroBatch = None,
    length: Length = None,
    dropout: Dropout = None,
    mask_rate: MaskRate = None,
    optimizer: Optimizer = None,
    precision: Precision = None,
    tokenizer: Tokenizer = None,
    vocab: Vocab = None,
    held_out: Annotated[float, typer.Option(help="The share of documents to score on.")] = 0.05,
    log_every: LogEvery = None,
    workers: Workers = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task to fine-tune the models on, such as shuffled; may be repeated.", show_default=False),
    ] = None,
    task_data: Annotated[
        list[str] | None, typer.Option(help="Where the tasks' rows are.", show_default="the tasks' own")
    ] = None,
    task_rate: Annotated[float, typer.Option("--task-lr", help="The learning rate of fine-tuning.")] = 2e-4,
    task_epochs: Annotated[float, typer.Option(help="Readings of a task's rows.")] = 1.0,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the trained models.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the runs that are there, and go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train several backbones on the same data from the same seeds, and compare them in pairs."""
    from autobertc.cli.comparison import compare_files

    changes = {
        "steps": steps,
        "epochs": epochs,
        "batch": batch,
        "length": length,
        "dropout": dropout,
        "mask_rate": mask_rate,
        "optimizer": optimizer,
        "precision": precision,
    }
    compare_files(
        files,
        output,
        preset,
        changes,
        data or ["default"],
        learning_rates,
        task or [],
        task_data or [],
        {"learning_rates": (task_rate,), "epochs": task_epochs, "length": length},
        resume,
        as_json,
        seeds=tuple(range(seed, seed + seeds)),
        grid_seeds=grid_seeds,
        micro_batch=micro_batch,
        tokenizer=tokenizer,
        vocab=vocab,
        held_out=held_out,
        log_every=log_every,
        workers=workers,
        keep_models=keep_models,
    )
