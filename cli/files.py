"""Commands on the text of files. Nothing here loads torch."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from autobertc.cli.messages import complain, fail
from autobertc.dsl.architecture import Architecture, AttentionLayer, print_architecture
from autobertc.dsl.checker import load
from autobertc.dsl.errors import UserError
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import MAX_ERRORS_SHOWN, AbzError, Source
from autobertc.runtime.files import write_text
from autobertc.runtime.scaling import Size, scale


def load_checked(path: Path) -> Architecture:
    """The architecture of a file, its warnings and notes printed. Raises `AbzError`."""
    checked = load(path)
    for diagnostic in checked.diagnostics[:MAX_ERRORS_SHOWN]:
        complain(diagnostic)
    if (hidden := len(checked.diagnostics) - MAX_ERRORS_SHOWN) > 0:
        fail(f"… and {hidden} more warning{'s' if hidden > 1 else ''} and notes")
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


def _read_stdin() -> tuple[Source, bytes]:
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"<stdin>: not UTF-8: a bad byte at byte {error.start}") from error
    if "\0" in text:
        raise UserError(f"<stdin>: not a text file: a NUL byte at byte {data.index(0)}")
    return Source("<stdin>", text), data


def format_file(name: str, only_check: bool) -> bool:
    """Format one file in place, or standard input to standard output; False where it is, or would be, in error.

    Raises `UserError` where the file cannot be written.
    """
    try:
        source, data = _read_stdin() if name == "-" else (Source.load(name), None)
        text = format_tree(parse_tree(source))
    except AbzError as error:
        fail(str(error))
        return False
    except UserError as error:
        fail(f"error: {error}")
        return False
    if name == "-" and not only_check:
        typer.echo(text, nl=False)
        return True
    if text.encode() == (Path(name).read_bytes() if data is None else data):
        return True
    if only_check:
        typer.echo(f"would reformat {source.name}")
        return False
    write_text(Path(name), text)
    typer.echo(f"reformatted {name}")
    return True


def scale_file(path: Path, to: Size, output: Path | None) -> None:
    """Write a scaled architecture. Raises `AbzError`, `UserError`."""
    try:
        scaled = scale(load_checked(path), to)
    except ValueError as error:
        raise UserError(f"cannot scale {path}: {error}") from error
    text = format_tree(parse_tree(Source("<scaled>", print_architecture(scaled))))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
        typer.echo(f"wrote {output}")


def show_file(path: Path, output: Path) -> None:
    """Draw a file's backbone. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.drawing import draw

    try:
        draw(architecture, output)
    except ValueError as error:
        raise UserError(str(error)) from error
    typer.echo(f"wrote {output}")
