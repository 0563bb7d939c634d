"""Where tables for people go."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDTH = 140
"""Of what goes to no terminal and is told no width: Rich's guess, 80 columns, would fold a table in a file."""


def standard_output() -> Console:
    """The standard output, as wide as its terminal, or as `COLUMNS` says."""
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)
