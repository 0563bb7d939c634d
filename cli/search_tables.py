"""What a run holds, printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
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

Current = Mapping[int, tuple[float, ...]]
"""What selection goes by, by number: the last score, where a candidate was scored again as a parent."""


def current_scores(storage: StudyStorage) -> Current:
    """Of all complete candidates."""
    return {record.number: values for record, values in current_values(storage.history())}


def trial_facts(storage: StudyStorage, trial: Trial, current: Current) -> dict[str, Any]:
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
        "selected_by": dict(zip(storage.objectives, current.get(trial.number, ()), strict=False)),
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
    top, current = winner(storage), current_scores(storage)
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
            "best": trial_facts(storage, top, current) if top else None,
        }
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"{finished or 'not at its end'}; {duration(seconds)} in {len(storage.rounds())} rounds")
    counted = ", ".join(f"{count} {name}" for name, count in states.items() if count)
    typer.echo(f"{len(trials):,} of {configuration.study.trials:,} candidates: {counted or 'none yet'}")
    if gate:
        typer.echo(gate["statement"])
    if top:
        chosen = "of the last stage" if storage.attribute(FINAL) else "of the search so far"
        values = zip(storage.objectives, current[top.number], strict=False)
        told = ", ".join(f"{name} {_shown(name, value)}" for name, value in values)
        typer.echo(f"best {chosen}: candidate {top.number}, {told}: {layers_of(top)}")


def _shown(objective: str, value: float) -> str:
    """An objective against the anchor's; of those that are to be small, how much more or less they are."""
    if objective in ("flops", "parameters"):
        return f"{-value:+,.0f}"
    return f"{-value:+.4g} s" if objective == "latency" else f"{value:+.4f}"


def print_best(run: Path, as_json: bool) -> None:
    """The winner's file. Raises `UserError` where there is none."""
    storage, _ = open_run(run)
    top = winner(storage)
    if top is None:
        raise UserError(f"{run}: no candidate was evaluated to the end yet")
    if as_json:
        typer.echo(json.dumps(trial_facts(storage, top, current_scores(storage)), indent=2))
    else:
        typer.echo(top.genome, nl=False)


def print_trials(run: Path, limit: int, as_json: bool) -> None:
    """The best candidates, or all by number. Raises `UserError`."""
    storage, _ = open_run(run)
    chosen, current = storage.trials(), current_scores(storage)
    if limit:
        history = storage.history()
        chosen = [storage.trial(record.number) for record in best(current_values(history), limit)]
    if as_json:
        typer.echo(json.dumps([trial_facts(storage, trial, current) for trial in chosen], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("trial", "round", "state", *storage.objectives, "from", "layers"):
        right = column in ("trial", "round", *storage.objectives)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for trial in chosen:
        values = [_shown(*each) for each in zip(storage.objectives, current.get(trial.number, ()), strict=False)]
        values += [""] * (len(storage.objectives) - len(values))
        came = ", ".join(map(str, trial.parents)) or trial.origin
        state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
        table.add_row(str(trial.number), str(trial.round), state, *values, came, layers_of(trial))
    standard_output().print(table, markup=False, highlight=False)


def layers_of(trial: Trial) -> str:
    """Kernel sizes, and "att" for attention, from top to bottom."""
    layers = parse(trial.genome).layers
    return " ".join(str(layer.kernel) if isinstance(layer, ConvolutionLayer) else "att" for layer in layers)
