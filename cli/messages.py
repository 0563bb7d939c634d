"""What goes to standard error."""

from __future__ import annotations

import typer

from autobertc.dsl.source import Diagnostic


def complain(diagnostic: Diagnostic) -> None:
    """A warning or a note, on standard error."""
    typer.echo(diagnostic.render(), err=True)


def fail(message: str) -> None:
    """An error of the user's, on standard error."""
    typer.echo(message, err=True)
