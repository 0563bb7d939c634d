"""What a run holds, printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from autobertc.cli.console import standard_output
from autobertc.cli.search_progress import duration
from autobertc.dsl import parse
from autobertc.dsl.architecture import ConvolutionLayer
from autobertc.dsl.errors import UserError
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.assembly import open_run
from autobertc.search.study.records import Trial
from autobertc.search.study.stages import FINAL, FINISHED, GATE, winner
from autobertc.search.study.storage import StudyStorage


def trial_facts(storage: StudyStorage, trial: Trial) -> dict[str, Any]:
    """A candidate for JSON."""
    result = trial.result
    return {
        "number": trial.number,
        "round": trial.round,
        "origin": trial.origin,
        "parents": list(trial.parents),
        "edits": list(trial.edits),
        "state": trial.state,
        "reason": trial.reason,
        "values": dict(zip(storage.objectives, trial.values, strict=False)),
        "scores": result.scores if result else {},
        "flops": result.flops if result else 0,
        "seconds": trial.finished - trial.started,
        "genome": trial.genome,
    }


def print_status(run: Path, as_json: bool) -> None:
    """How far a run is. Raises `UserError`."""
    storage, configuration = open_run(run)
    trials = storage.trials()
    states = {
        name: sum(trial.state == name for trial in trials) for name in ("complete", "stopped", "failed", "running")
    }
    seconds = sum(each.finished - each.started for each in storage.sessions())
    top = winner(storage)
    finished = storage.attribute(FINISHED)
    gate = storage.attribute(GATE)
    if as_json:
        facts = {
            "trials": len(trials),
            "budget": configuration.study.trials,
            "states": states,
            "rounds": len(storage.rounds()),
            "seconds": seconds,
            "finished": finished,
            "gate": gate,
            "last_stage": storage.attribute(FINAL),
            "best": trial_facts(storage, top) if top else None,
        }
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"{finished or 'not at its end'}; {duration(seconds)} in {len(storage.rounds())} rounds")
    counted = ", ".join(f"{count} {name}" for name, count in states.items() if count)
    typer.echo(f"{len(trials):,} of {configuration.study.trials:,} candidates: {counted or 'none yet'}")
    if gate:
        typer.echo(gate["statement"])
    if top:
        typer.echo(f"best: candidate {top.number}, {_values(storage, top)}: {layers_of(top)}")


def _values(storage: StudyStorage, trial: Trial) -> str:
    return ", ".join(f"{name} {value:+.4f}" for name, value in zip(storage.objectives, trial.values, strict=False))


def print_best(run: Path, as_json: bool) -> None:
    """The winner's file. Raises `UserError` where there is none."""
    storage, _ = open_run(run)
    top = winner(storage)
    if top is None:
        raise UserError(f"{run}: no candidate was evaluated to the end yet")
    typer.echo(json.dumps(trial_facts(storage, top), indent=2) if as_json else top.genome, nl=as_json)


def print_trials(run: Path, limit: int, as_json: bool) -> None:
    """The best candidates, or all by number. Raises `UserError`."""
    storage, _ = open_run(run)
    chosen = storage.trials()
    if limit:
        history = storage.history()
        chosen = [storage.trial(record.number) for record in best(current_values(history), limit)]
    if as_json:
        typer.echo(json.dumps([trial_facts(storage, trial) for trial in chosen], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("trial", "round", "state", *storage.objectives, "from", "layers"):
        right = column in ("trial", "round", *storage.objectives)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for trial in chosen:
        values = [f"{value:+.4f}" for value in trial.values] or [""] * len(storage.objectives)
        came = ", ".join(map(str, trial.parents)) or trial.origin
        state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
        table.add_row(str(trial.number), str(trial.round), state, *values, came, layers_of(trial))
    standard_output().print(table, markup=False, highlight=False)


def layers_of(trial: Trial) -> str:
    """Kernel sizes, and "att" for attention, from top to bottom."""
    layers = parse(trial.genome).layers
    return " ".join(str(layer.kernel) if isinstance(layer, ConvolutionLayer) else "att" for layer in layers)
