"""Commands on files: what they mean, what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from autobertc.cli.app import MAX_SEED, File, app
from autobertc.runtime.scaling import Size

Files = Annotated[list[Path], typer.Argument(help="Architecture files.", show_default=False)]
Backend = Literal["auto", "eager", "triton"]
Dtype = Literal["bfloat16", "float16", "float32"]
Stage = Literal["tree", "graph", "canonical", "planned", "module", "kernels"]


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
