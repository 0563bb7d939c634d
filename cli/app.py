"""The command line's application, which the modules of commands add themselves to, and the options they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="autobertc",
    help="A compiler and a search engine for language-model backbones.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(help="An architecture file.", show_default=False)]
MAX_SEED = 2**63 - 1


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
