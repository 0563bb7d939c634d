"""The command that reproduces the paper's tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autobertc.cli.app import app


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="table2, figure5, ... (`--list`), or all that need no search.", show_default=False),
    ] = None,
    scale: Annotated[str, typer.Option(help="smoke, laptop, gpu or paper: how much is trained.")] = "laptop",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of docs: its reproduction.md is written.")
    ] = Path("docs"),
    data: Annotated[
        Path | None,
        typer.Option(help="A folder with GLUE's and SQuAD's rows, a folder for each task.", show_default="the Hub"),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="A source of text to pre-train on; may be repeated.", show_default="the scale's"),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="Where trained models are kept, to be found again.", show_default="in the cache"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything.", min=0, max=2**31)] = 0,
    list_them: Annotated[bool, typer.Option("--list", help="Print the entries and the scales, and stop.")] = False,
) -> None:
    """Make the paper's tables and figures again: its numbers, ours, and why they differ, as a page of docs."""
    from autobertc.cli.reproduction import list_entries, reproduce_entries

    if list_them:
        list_entries()
    else:
        reproduce_entries(names or [], scale, output, data, text or [], runs, seed)
