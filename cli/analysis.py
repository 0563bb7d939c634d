"""The command that looks inside models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autobertc.dsl.errors import UserError
from autobertc.runtime.analysis import MEASURES, Analysis, analyse, write_analyses
from autobertc.runtime.tasks import find


def analyse_models(models: list[str], output: Path, data: list[str], pairs: int, length: int, seed: int) -> None:
    """Measure models on the same sentence pairs, write figures and numbers, print a table. Raises `UserError`."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"cannot write {output}: it is there already")
    rows = find("next-sentence", *data, seed=seed).load()["train"]
    chosen = list(zip(rows["sentence1"][:pairs], rows["sentence2"][:pairs], strict=True))
    if len(chosen) < pairs:
        typer.echo(f"{len(chosen):,} sentence pairs, all that the text has", err=True)
    found = [analyse(model, chosen, length) for model in models]
    write_analyses(found, output)
    _print(found)
    typer.echo(f"wrote {output}")


def _print(found: Sequence[Analysis]) -> None:
    """A row for each model; measures after the last layer."""
    table = Table(box=None, pad_edge=False)
    for column in ("model", "parameters", "FLOPs", *MEASURES.values()):
        table.add_column(column, justify="left" if column == "model" else "right", overflow="fold")
    for each in found:
        plain = None if each.flops is None else each.flops["plain"]
        table.add_row(
            escape(each.name),
            f"{each.parameters:,}",
            f"{plain['total']:.4g}" if isinstance(plain, dict) else "",
            *(f"{each.uniformity[name][-1]:.4f}" for name in MEASURES),
        )
    Console().print(table)
