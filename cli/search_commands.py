"""Commands that search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autobertc.cli.app import app

search_app = typer.Typer(
    name="search", help="Search for backbones: `run`, then `best`, `report`, `export`.", no_args_is_help=True
)
app.add_typer(search_app)

Run = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="section.key=value, over the file; may be repeated.", show_default=False),
]
Workers = Annotated[
    str | None,
    typer.Option(
        help="How many processes; or ray, ray://HOST:PORT, in-process.", show_default="the configuration's", metavar="N"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@search_app.command()
def run(
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder to make.", show_default=False)],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="A TOML file.", show_default=False)] = None,
    preset: Annotated[str | None, typer.Option(help="tiny, small or paper.", show_default=False)] = None,
    set_: Set = None,
    workers: Workers = None,
) -> None:
    """Begin a search and run it to its end. Ctrl-C stops it; `resume` goes on."""
    from autobertc.cli.searching import run_search

    if config is None and preset is None:
        raise typer.BadParameter("give --preset tiny, small or paper, or --config FILE", param_hint="'--preset'")
    run_search(output, config, preset, set_ or [], workers)


@search_app.command()
def resume(run: Run, set_: Set = None, workers: Workers = None) -> None:
    """Go on with a search that was stopped, killed, or is to have a larger budget."""
    from autobertc.cli.searching import resume_search

    resume_search(run, set_ or [], workers)


@search_app.command()
def status(run: Run, as_json: AsJson = False) -> None:
    """Tell how far a search is, also while it runs."""
    from autobertc.cli.search_tables import print_status

    print_status(run, as_json)


@search_app.command()
def best(run: Run, as_json: AsJson = False) -> None:
    """Print the winner's file."""
    from autobertc.cli.search_tables import print_best

    print_best(run, as_json)


@search_app.command()
def trials(
    run: Run,
    limit: Annotated[int, typer.Option(help="The best so many; 0 for all, in order.", min=0)] = 20,
    as_json: AsJson = False,
) -> None:
    """Print the candidates: the best ones, or all."""
    from autobertc.cli.search_tables import print_trials

    print_trials(run, limit, as_json)


@search_app.command()
def report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder to make.", show_default="RUN/report")
    ] = None,
) -> None:
    """Write one HTML page with all that a search found."""
    from autobertc.cli.searching import write_search_report

    write_search_report(run, output)


@search_app.command()
def export(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.", show_default=False)],
    trial: Annotated[
        int | None, typer.Option(help="The number of another candidate.", show_default="the winner", min=0)
    ] = None,
    pretrain: Annotated[bool, typer.Option("--pretrain", help="Run the command that trains it, too.")] = False,
) -> None:
    """Write the winner's file and drawing, and the command that makes a trained Hugging Face model of it."""
    from autobertc.cli.searching import export_winner

    export_winner(run, output, trial, pretrain)
