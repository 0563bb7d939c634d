"""Reproducing the paper's tables and figures."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.dsl.errors import UserError
from autobertc.runtime.data.cache import default_cache
from autobertc.runtime.data.errors import unknown
from autobertc.runtime.reproduction import registry
from autobertc.runtime.reproduction.entry import Context, Entry
from autobertc.runtime.reproduction.page import reproduce
from autobertc.runtime.reproduction.scales import SCALES

_SEARCH = "autobertc.search.reproduction"


def _entries() -> dict[str, Entry]:
    """Those that train, and those that search."""
    return registry.entries((registry.OWN, _SEARCH))


def list_entries() -> None:
    """Print what there is to reproduce, and at what scales."""
    table = Table(box=None, pad_edge=False)
    for column in ("entry", "shows", ""):
        table.add_column(column, overflow="fold")
    for entry in _entries().values():
        table.add_row(entry.name, entry.title, "exact" if entry.exact else "by scale")
    scales = Table(box=None, pad_edge=False)
    for column in ("scale", "what it takes"):
        scales.add_column(column, overflow="fold")
    for scale in SCALES.values():
        scales.add_row(scale.name, scale.what)
    console = standard_output()
    console.print(table)
    console.print()
    console.print(scales)


def reproduce_entries(
    names: list[str], scale: str, output: Path, data: Path | None, text: list[str], runs: Path | None, seed: int
) -> None:
    """Make entries one after the other, the page whole after each. Raises `UserError`."""
    among = _entries()
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    if data is not None and not data.is_dir():
        raise UserError(f"there is no folder {data}")
    chosen = _chosen(names, among)
    context = Context(
        scale=SCALES[scale],
        runs=(runs or default_cache() / "reproduction").absolute(),
        figures=output,
        data=data,
        text=tuple(text),
        seed=seed,
        say=typer.echo,
    )
    for entry in chosen:
        typer.echo(f"{entry.name}: {entry.title}, scale {scale}")
        page = reproduce(entry, context, output, among)
        typer.echo(f"wrote {page}")


def _chosen(names: list[str], among: dict[str, Entry]) -> list[Entry]:
    """Entries by name; a number by itself belongs to the word before it, as in `table 2`."""
    joined: list[str] = []
    for name in names:
        if name.isdigit() and joined and joined[-1].isalpha():
            joined[-1] += name
        else:
            joined.append(name)
    if not joined:
        raise UserError(f"name a table or figure ({', '.join(among)}), or all; `--list` says what they are")
    if joined == ["all"]:
        return [entry for entry in among.values() if entry.make is not None]
    return [registry.find(name, among) for name in joined]
