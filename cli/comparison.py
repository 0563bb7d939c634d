"""The command that compares backbones by training them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.cli.files import load_checked
from autobertc.cli.training import numbers
from autobertc.dsl.source import Source
from autobertc.runtime.comparison.compare import compare
from autobertc.runtime.comparison.report import conclusions, rows
from autobertc.runtime.comparison.settings import GRID, Comparison, contestants
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.tasks import expand, find
from autobertc.runtime.training.finetuning import Finetuning
from autobertc.runtime.training.recipes import recipe


def compare_files(
    files: list[Path],
    output: Path,
    preset: str,
    changes: dict[str, Any],
    data: list[str],
    rates: str | None,
    tasks: list[str],
    task_data: list[str],
    finetuning: dict[str, Any],
    resume: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare files' backbones, and print the table and what it says. Raises `AbzError`, `UserError`."""
    found = [(path.stem, load_checked(path), Source.load(path).text) for path in files]
    chosen = recipe(preset, changes)
    given = numbers("--lr", rates)
    comparison = Comparison(
        contestants=contestants(found),
        recipe=chosen,
        learning_rates=given or tuple(part * chosen.learning_rate for part in GRID),
        sources=tuple(TextSource.parse(name) for name in data),
        tasks=tuple(find(name, *task_data, seed=settings["seeds"][0]) for name in expand(tasks)),
        finetuning=Finetuning(**finetuning),
        **settings,
    )
    summary = compare(
        comparison,
        output,
        resume=resume,
        say=(lambda line: typer.echo(line, err=True)) if as_json else typer.echo,
        bars=sys.stderr.isatty(),
    )
    if as_json:
        typer.echo((output / "comparison.json").read_text(encoding="utf-8"), nl=False)
        return
    columns, lines = rows(summary)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        name = column == "backbone"
        table.add_column(column, justify="left" if name else "right", overflow="fold", no_wrap=name)
    for cells in lines:
        table.add_row(*map(escape, cells))
    console = standard_output()
    console.print(table)
    for line in conclusions(summary):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    typer.echo(f"wrote {output}")
