"""The commands that look inside models, and at tables of their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.dsl.errors import UserError
from autobertc.runtime.analysis.agreement import Agreement, agreement, mean_tau, read_results, write_agreement
from autobertc.runtime.analysis.figures import labels
from autobertc.runtime.analysis.report import PARTS, Analysis, Request, analyse, write_analyses
from autobertc.runtime.analysis.uniformity import MEASURES
from autobertc.runtime.tasks import find

_SEPARATOR = "|||"


def _check_free(output: Path) -> None:
    """Raise `UserError` where an output is taken: before, not after, what takes long."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"cannot write {output}: it is there already")


def analyse_models(
    models: list[str],
    output: Path,
    parts: list[str],
    data: list[str],
    pairs: int,
    sentences: list[str],
    batch: int,
    length: int,
    seed: int,
) -> None:
    """Measure models on the same sentence pairs, write figures and numbers, print a table. Raises `UserError`."""
    _check_free(output)
    chosen = tuple(dict.fromkeys(parts)) or PARTS
    shown = tuple(_sentence(text) for text in sentences)
    Request((), length, chosen, shown, batch)  # raises for a part that is none, before data is read
    given: list[tuple[str, str | None]] = []
    if set(chosen) - {"latency"}:
        rows = find("next-sentence", *data, seed=seed).load()["train"]
        given = list(zip(rows["sentence1"][:pairs], rows["sentence2"][:pairs], strict=True))
        if len(given) < pairs:
            typer.echo(f"{len(given):,} sentence pairs, all that the text has", err=True)
    request = Request(given, length, chosen, shown, batch)
    found = [analyse(model, request) for model in models]
    write_analyses(found, output)
    _print(found)
    typer.echo(f"wrote {output}")


def _sentence(text: str) -> tuple[str, str | None]:
    first, separator, second = text.partition(_SEPARATOR)
    if not first.strip() or (separator and not second.strip()):
        raise UserError(f"--sentence is a sentence, or two with {_SEPARATOR} between them, not {text!r}")
    return first.strip(), second.strip() or None


def _print(found: Sequence[Analysis]) -> None:
    """A column for each model: of what goes by layer the last one's."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for label in labels([each.name for each in found]):
        table.add_column(escape(label), justify="right", overflow="fold")
    numbers = [_numbers(each) for each in found]
    for title in dict.fromkeys(title for each in numbers for title in each):
        table.add_row(title, *(each.get(title, "") for each in numbers))
    standard_output().print(table)


def _numbers(found: Analysis) -> dict[str, str]:
    numbers = {"parameters": f"{found.parameters:,}"}
    if found.flops is not None:
        for name, title in (("plain", "FLOPs"), ("electra", "FLOPs, ELECTRA's convention")):
            counts = found.flops[name]
            assert isinstance(counts, dict)
            numbers[title] = f"{counts['total']:.4g}"
    for name, values in (found.uniformity or {}).items():
        numbers[MEASURES[name]] = f"{values[-1]:.4f}"
    if found.receptive is not None:
        numbers["spread of influence on a token"] = f"{found.receptive.stack[-1].spread:.2f} tokens"
    if found.maps is not None:
        numbers["mean distance of attention"] = f"{found.maps.measures['distance'].mean():.2f} tokens"
    if found.latency is not None:
        each = found.latency
        numbers[f"latency, batch {each.batch}, length {each.length}"] = f"{each.seconds:.3f} s"
        numbers["BERT of the same size"] = f"{each.bert_seconds:.3f} s"
        numbers["ratio (95% interval)"] = f"{each.ratio:.3f} ({each.low:.3f} to {each.high:.3f})"
        numbers["peak memory"] = f"{each.memory / 2**20:,.0f} MiB"
        numbers["BERT's"] = f"{each.bert_memory / 2**20:,.0f} MiB"
    return numbers


def correlate_results(first: Path, second: Path, output: Path) -> None:
    """Compare two tables of results, write the scatter, print tau by task. Raises `UserError`."""
    _check_free(output)
    found = agreement(read_results(first), read_results(second))
    write_agreement(found, output, (first.stem, second.stem))
    _print_agreement(found)
    typer.echo(f"wrote {output}")


def _print_agreement(found: list[Agreement]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("task", "models", "tau", "p"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for each in found:
        values = ["undefined" if value is None else f"{value:.3f}" for value in (each.tau, each.p)]
        table.add_row(escape(each.task), str(len(each.models)), *values)
    mean = mean_tau(found)
    table.add_row("mean", "", "undefined" if mean is None else f"{mean:.3f}", "")
    standard_output().print(table)
