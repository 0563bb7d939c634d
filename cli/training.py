"""Commands that train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.cli.files import load_checked
from autobertc.dsl.errors import UserError
from autobertc.dsl.source import Source
from autobertc.runtime.data.sources import TextSource

if TYPE_CHECKING:
    from autobertc.runtime.training.initial_weights import InitialWeights


def pretrain_file(
    path: Path,
    output: Path,
    preset: str,
    changes: dict[str, Any],
    data: list[str],
    resume: bool,
    init_from: Path | None,
    **settings: Any,
) -> None:
    """Pre-train a file's backbone. Raises `AbzError`, `UserError`."""
    architecture = load_checked(path)
    from autobertc.runtime.training.preparation import Pretraining
    from autobertc.runtime.training.pretraining import pretrain
    from autobertc.runtime.training.recipes import recipe

    run = Pretraining(
        architecture=architecture,
        source=Source.load(path).text,
        recipe=recipe(preset, changes),
        sources=tuple(TextSource.parse(name) for name in data),
        initial=None if init_from is None else weights_from(init_from),
        **settings,
    )
    pretrain(run, output, resume=resume, say=typer.echo, bars=sys.stderr.isatty())


def weights_from(place: Path) -> InitialWeights:
    """The weights of a model folder, of a safetensors file, or of a search's super-net. Raises `UserError`."""
    from autobertc.runtime.training.initial_weights import from_folder, holds_weights

    if not place.exists():
        raise UserError(f"there is no {place} to take weights from")
    if holds_weights(place):
        return from_folder(place)
    if not (place / "supernet").is_dir():
        raise UserError(f"{place} is neither a model folder nor a search's run with a super-net: there are no weights")
    from autobertc.search.biws.candidates import first_weights

    return first_weights(place)


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Numbers between commas. Raises `UserError`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} takes numbers between commas, such as 2e-5,5e-5, not {text!r}") from error


def finetune_model(
    model: str,
    output: Path,
    names: list[str],
    data: list[str],
    text: list[str],
    label: str,
    kind: str,
    resume: bool,
    accuracies: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Fine-tune a model on tasks, or on a user's own data, and print the table. Raises `UserError`."""
    from autobertc.runtime import tasks
    from autobertc.runtime.data.reading import quiet
    from autobertc.runtime.tasks.base import Task
    from autobertc.runtime.tasks.custom import custom_task
    from autobertc.runtime.training.finetuning import Finetuning, finetune

    seed = settings["seed"]
    chosen: list[Task]
    if text:
        if len(names) > 1 or not data:
            raise UserError("a task of your own has --data, --text and --label, and --task names it at most")
        with quiet(progress=sys.stderr.isatty()):
            chosen = [custom_task(data, text, label, kind=kind, name=names[0] if names else "custom", seed=seed)]
    elif names:
        chosen = [tasks.find(name, *data, seed=seed) for name in tasks.expand(names)]
    else:
        raise UserError(f"give --task ({', '.join(tasks.NAMES)} or glue), or --data, --text and --label of your own")
    results = finetune(
        model,
        chosen,
        Finetuning(**settings),
        output,
        resume=resume,
        accuracies=accuracies,
        say=(lambda line: typer.echo(line, err=True)) if as_json else typer.echo,
        bars=sys.stderr.isatty(),
    )
    if as_json:
        typer.echo((output / "results.json").read_text(encoding="utf-8"), nl=False)
    else:
        print_results(results)
        typer.echo(f"wrote {output}")


def print_results(results: dict[str, Any]) -> None:
    """A row for each task."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)  # with two seeds, too, 80 columns are enough
    for column in ("task", "metric", "median", "min", "max", "majority", "test", "lr", "decay"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right", no_wrap=True)
    for name, result in results["tasks"].items():
        best, metric = result["best"], result["metric"]
        test = next((scores[metric] for scores in result["test"].values()), None)
        shown = [best["median"], best["min"], best["max"], result["majority"], test]
        table.add_row(
            name,
            metric,
            *("" if value is None else f"{value:.4f}" for value in shown),
            f"{best['learning_rate']:g}",
            f"{best['weight_decay']:g}",
        )
    console = standard_output()
    console.print(table)
    if "glue" in results:
        console.print(f"GLUE average {100 * results['glue']['average']:.1f}", highlight=False)
