"""Commands that train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from autobertc.cli.files import load_checked
from autobertc.dsl.source import Source
from autobertc.runtime.data.sources import TextSource


def pretrain_file(
    path: Path,
    output: Path,
    preset: str,
    changes: dict[str, Any],
    data: list[str],
    resume: bool,
    **settings: Any,
) -> None:
    """Pre-train a file's backbone. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.training.pretraining import Pretraining, pretrain
    from autobertc.runtime.training.recipes import recipe

    run = Pretraining(
        architecture=architecture,
        source=Source.load(path).text,
        recipe=recipe(preset, changes),
        sources=tuple(TextSource.parse(name) for name in data),
        **settings,
    )
    pretrain(run, output, resume=resume, say=typer.echo, bars=sys.stderr.isatty())
