"""Running searches, and what is made of them."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from autobertc.cli.messages import fail
from autobertc.cli.search_progress import SearchProgress, make_progress
from autobertc.dsl import parse
from autobertc.dsl.errors import UserError
from autobertc.runtime.drawing import draw
from autobertc.runtime.files import new_directory
from autobertc.search.configuration import Configuration, load_configuration
from autobertc.search.study.assembly import begin_run, continue_run, open_run, search
from autobertc.search.study.records import Trial
from autobertc.search.study.stages import winner


def run_search(
    run: Path, config: Path | None, preset: str | None, settings: Sequence[str], workers: str | None
) -> None:
    """Begin a search and see it through. Raises `UserError`."""
    configuration = load_configuration(config, preset, [*settings, *worker_settings(workers)])
    begin_run(run, configuration)
    study, evaluation = configuration.study, configuration.evaluation
    sizes = f"{configuration.space.layers} layers, {configuration.model.hidden} wide"
    typer.echo(f"{study.trials:,} candidates of {sizes}, {evaluation.steps:,} steps each, scored by {evaluation.proxy}")
    typer.echo(f"{configuration.space.size()}")
    _see_through(run, configuration)


def resume_search(run: Path, settings: Sequence[str], workers: str | None) -> None:
    """Go on with a search. Raises `UserError`."""
    _see_through(run, continue_run(run, [*settings, *worker_settings(workers)]))


def worker_settings(text: str | None) -> list[str]:
    """What `--workers` sets. Raises `UserError`."""
    if text is None:
        return []
    if text.isdecimal() and int(text):
        return ['workers.kind="processes"', f"workers.count={text}"]
    if text == "in-process":
        return ['workers.kind="in-process"', "workers.count=1"]
    if text == "ray" or text.startswith("ray://"):
        address = "" if text == "ray" else text
        return ['workers.kind="ray"', f'workers.address="{address}"', "workers.count=0"]
    raise UserError(f"--workers takes a number, ray, ray://HOST:PORT or in-process, not {text!r}")


def _see_through(run: Path, configuration: Configuration) -> None:
    progress = make_progress(configuration.study.trials)
    name = shlex.quote(str(run))
    try:
        with _interrupting(progress), progress, search(run, configuration, progress, progress.say) as going:
            best = going()
    except (KeyboardInterrupt, SystemExit) as stop:
        fail(f"stopped; candidates that were under way are evaluated again. Go on with: autobertc search resume {name}")
        raise typer.Exit(stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 130) from None
    if best is None:
        raise UserError("no candidate was evaluated to the end: `autobertc search trials --limit 0` tells why")
    typer.echo(f"the winner is candidate {best.number}: autobertc search best {name}")
    typer.echo(f"for more: autobertc search report {name}; autobertc search export {name} -o FOLDER")


@contextmanager
def _interrupting(progress: SearchProgress) -> Iterator[None]:
    """Ctrl-C inside the block is not lost where Python swallows an exception, as in a finaliser: the next tick ends."""

    def stop(number: int, frame: FrameType | None) -> None:
        progress.interrupted = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def write_search_report(run: Path, output: Path | None) -> None:
    """Write the report. Raises `UserError`."""
    from autobertc.search.report import write_report
    from autobertc.search.report.runs import read_run

    _, configuration = open_run(run)
    command = shlex.join(["autobertc", *pretrain_command(Path(), configuration)])
    page = write_report(read_run(run, command), output or run / "report")
    typer.echo(f"wrote {page}")


def export_winner(run: Path, output: Path, number: int | None, pretrain: bool) -> None:
    """Write a candidate's file and drawing. Raises `UserError`."""
    storage, configuration = open_run(run)
    trial = winner(storage) if number is None else next((t for t in storage.trials() if t.number == number), None)
    if trial is None:
        missing = "no candidate was evaluated to the end" if number is None else f"there is no candidate {number}"
        raise UserError(f"{run}: {missing}")
    with new_directory(output) as folder:
        _write_candidate(folder, trial)
    command = pretrain_command(output, configuration)
    typer.echo(f"wrote {output}")
    if not pretrain:
        typer.echo(f"to train it: {shlex.join(['autobertc', *command])}")
        return
    typer.echo(shlex.join(["autobertc", *command]))
    done = subprocess.run([sys.executable, "-m", "autobertc", *command])
    if done.returncode:
        raise typer.Exit(done.returncode)


def _write_candidate(folder: Path, trial: Trial) -> None:
    architecture = parse(trial.genome)
    (folder / "winner.abz").write_text(trial.genome, encoding="utf-8")
    draw(architecture, folder / "winner.svg")


def pretrain_command(output: Path, configuration: Configuration) -> list[str]:
    """The arguments that train an exported candidate: at the sizes of the search, on the default data, a while.

    Mechanistic tasks have a vocabulary of a few symbols: text gets one of 4,096 entries.
    """
    model = configuration.model
    command = ["pretrain", str(output / "winner.abz"), "-o", str(output / "model"), "--preset", "modern"]
    options = {"steps": 300, "batch": 16, "length": min(64, model.max_length), "lr": 1e-3}
    if model.vocab < 1000:
        options["vocab"] = 4096
    return [*command, *(part for name, value in options.items() for part in (f"--{name}", f"{value:g}"))]
