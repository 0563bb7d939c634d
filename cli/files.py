"""Commands on the text of files. Nothing here loads torch."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from autobertc.cli.main import complain, fail
from autobertc.dsl.architecture import Architecture, AttentionLayer, print_architecture
from autobertc.dsl.checker import load
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import AbzError, Source
from autobertc.runtime.files import write_text
from autobertc.runtime.scaling import Size, scale


def load_checked(path: Path) -> Architecture:
    """The architecture of a file, its warnings and notes printed. Raises `AbzError`."""
    checked = load(path)
    for diagnostic in checked.diagnostics:
        complain(diagnostic)
    return checked.architecture


def check_file(path: Path) -> bool:
    """Check one file and say what it holds; False where it is in error."""
    try:
        architecture = load_checked(path)
    except AbzError as error:
        fail(str(error))
        return False
    attention = sum(isinstance(layer, AttentionLayer) for layer in architecture.layers)
    programs = len(list(architecture.programs()))
    convolution = len(architecture.layers) - attention
    typer.echo(
        f"{path}: {len(architecture.layers)} layers: {attention} attention "
        f"({programs} program{'s' * (programs != 1)}), {convolution} convolution"
    )
    return True


def format_file(name: str, only_check: bool) -> bool:
    """Format one file in place, or standard input to standard output; False where it is, or would be, in error."""
    try:
        source = Source("<stdin>", sys.stdin.read()) if name == "-" else Source.load(name)
        text = format_tree(parse_tree(source))
    except AbzError as error:
        fail(str(error))
        return False
    except UnicodeDecodeError:
        fail("<stdin>: error: not UTF-8")
        return False
    if name == "-" and not only_check:
        typer.echo(text, nl=False)
        return True
    if name == "-" or text == Path(name).read_bytes().decode("utf-8"):
        return text == source.text
    if only_check:
        typer.echo(f"would reformat {name}")
        return False
    write_text(Path(name), text)
    typer.echo(f"reformatted {name}")
    return True


def scale_file(path: Path, to: Size, output: Path | None) -> None:
    """Write a scaled architecture. Raises `AbzError`, `UserError`."""
    text = format_tree(parse_tree(Source("<scaled>", print_architecture(scale(load_checked(path), to)))))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
        typer.echo(f"wrote {output}")
