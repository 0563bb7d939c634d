"""Commands that look inside models, and at tables of their results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autobertc.cli.app import app


@app.command()
def analyze(
    models: Annotated[list[str], typer.Argument(help="Model folders, or models of the Hub.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
    part: Annotated[
        list[str] | None,
        typer.Option(help="uniformity, maps, receptive or latency; may be repeated.", show_default="all"),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="A source of text for sentence pairs; may be repeated.", show_default="default"),
    ] = None,
    pairs: Annotated[int, typer.Option(help="How many sentence pairs.", min=1)] = 1280,
    sentence: Annotated[
        list[str] | None,
        typer.Option(help="Show the maps of this sentence, or pair A ||| B; may be repeated.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(help="Sequences at a time, for latency and memory.", min=1)] = 128,
    length: Annotated[int, typer.Option(help="Tokens of a sequence, and what FLOPs are for.", min=8)] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the pairs.", min=0)] = 0,
) -> None:
    """Look inside models, side by side: token uniformity, attention maps, receptive fields, latency, memory, FLOPs."""
    from autobertc.cli.analysis import analyse_models

    analyse_models(models, output, part or [], data or [], pairs, sentence or [], batch, length, seed)


@app.command()
def correlate(
    first: Annotated[Path, typer.Argument(help="A table of results: JSON, CSV, or a folder.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another, of the same models.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
) -> None:
    """Kendall's tau of two tables of results, task by task, as a scatter (the paper's Figure 8)."""
    from autobertc.cli.analysis import correlate_results

    correlate_results(first, second, output)
