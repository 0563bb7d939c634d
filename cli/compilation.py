"""Commands that compile."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import typer

from autobertc.cli.console import standard_output
from autobertc.cli.files import load_checked
from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.eager import plan
from autobertc.compiler.module_text import module_text
from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.dsl.errors import UserError
from autobertc.dsl.graph import Program
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import Source


def _planned(program: Program, architecture: Architecture) -> Program:
    return plan(program, architecture.sizes.max_length, architecture.sizes.head_dim)


def print_stage(path: Path, stage: str) -> None:
    """Print what a stage of the compilation makes of a file."""
    if stage == "tree":
        typer.echo(format_tree(parse_tree(Source.load(path))), nl=False)
        return
    architecture = load_checked(path)
    if stage == "module":
        typer.echo(module_text(architecture, backend="eager").modeling, nl=False)
        return
    if stage == "kernels":
        typer.echo(module_text(architecture, backend="triton").kernels or "", nl=False)
        return
    changes = {}
    for program in architecture.programs():
        if stage == "canonical":
            changes[program] = canonicalise(program)
        elif stage == "planned":
            changes[program] = _planned(program, architecture)
    printed = architecture.map_programs(changes) if changes else architecture
    typer.echo(print_architecture(printed), nl=False)


def compile_file(path: Path, output: Path, tokenizer: Path | None, backend: str, seed: int, replace: bool) -> None:
    """Emit a file's model. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    _quieten()
    if backend == "triton" and find_spec("triton") is None:
        raise UserError(
            "the Triton backend needs Triton, which is not installed: pip install triton, on Linux; or --backend eager"
        )
    from autobertc.runtime.emission import emit

    emit(
        architecture,
        output,
        source=Source.load(path).text,
        tokenizer=tokenizer,
        backend=backend,
        seed=seed,
        replace=replace,
    )
    typer.echo(f"wrote {output}")


def inspect_file(path: Path, as_json: bool, length: int | None) -> None:
    """Print what there is to tell of a file. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.inspection import inspect

    try:
        facts = inspect(architecture, length)
    except ValueError as error:
        raise UserError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        from autobertc.cli.tables import print_inspection

        print_inspection(facts)


def compile_for_targets(path: Path, targets: list[str], dtype: str, as_json: bool) -> None:
    """Print what each kernel of a file takes of some GPUs. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.resource_reports import print_table
    from autobertc.runtime.targets import compile_architecture

    found = compile_architecture(architecture, list(dict.fromkeys(targets)), dtype)
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
    else:
        print_table(found, standard_output())
    failed = [one for one in found if one.error is not None]
    if failed:
        raise UserError(f"{len(failed)} of {len(found)} kernels do not compile, the first {failed[0].kernel}")


def inspect_plan(path: Path, as_json: bool, length: int | None) -> None:
    """Print the stages of a file's fused kernels. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.inspection import inspect_plans

    facts = inspect_plans(architecture, length)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        from autobertc.cli.tables import print_plans

        print_plans(facts)


def convert_file(path: Path, source: Path, output: Path, seed: int, replace: bool) -> None:
    """Emit a file's model with a BERT's weights and say which fitted. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    _quieten()
    from autobertc.runtime.conversion import convert
    from autobertc.runtime.emission import emit
    from autobertc.runtime.tokenizer import holds_tokenizer

    conversion = convert(architecture, source, seed)
    tokenizer = source if holds_tokenizer(source) else None
    text = Source.load(path).text
    emit(architecture, output, model=conversion.model, source=text, tokenizer=tokenizer, replace=replace)
    typer.echo(f"wrote {output}: {len(conversion.copied)} weights from {source}")
    for title, names in (
        ("drawn anew, not in the BERT", conversion.initial),
        (
            "drawn anew, of another shape",
            [f"{name} {ours} {theirs}" for name, ours, theirs in conversion.mismatched],
        ),
        ("of the BERT, without a place", conversion.unused),
    ):
        if names:
            typer.echo(f"  {title}: {len(names)}")
            for name in names:
                typer.echo(f"    {name}")


def _quieten() -> None:
    """The library's progress bars have no place in a command's output."""
    from transformers.utils import logging

    logging.disable_progress_bar()
