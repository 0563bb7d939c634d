"""How two tables of results agree: Kendall's tau of the models' scores, task by task (the paper's Figure 8)."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from autobertc.runtime.analysis.figures import new_figure, save
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.files import new_directory

Results = dict[str, dict[str, float]]
"""Scores by model and task."""


@dataclass(frozen=True)
class Agreement:
    """One task's.

    Attributes:
        task: its name.
        models: those that both tables have a score of.
        first, second: their scores in either table.
        tau: Kendall's tau-b, None where a table has the same score for all of them.
        p: the probability of one at least as far from 0 by chance.
    """

    task: str
    models: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    tau: float | None
    p: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        scores = {name: [a, b] for name, a, b in zip(self.models, self.first, self.second, strict=True)}
        return {"task": self.task, "tau": self.tau, "p": self.p, "scores": scores}


def read_results(path: Path) -> Results:
    """Scores by model and task.

    A JSON file `{"MODEL": {"TASK": SCORE, ...}, ...}`; a CSV file whose first column is the model and whose others are
    tasks; or a folder of folders, one for each model, that `autobertc finetune` wrote. Raises `DataError`.
    """
    path = Path(path)
    if path.is_dir():
        found = {file.parent.name: _finetuned(file) for file in sorted(path.glob("*/results.json"))}
        if not found:
            raise DataError(f"{path} has no folder with results.json, as `autobertc finetune` writes it")
        return found
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    table = _csv_table(text) if path.suffix.lower() == ".csv" else _json_table(path, text)
    return {
        model: {task: _score(path, model, task, value) for task, value in row.items()} for model, row in table.items()
    }


def _finetuned(file: Path) -> dict[str, float]:
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))["tasks"]
        return {name: float(task["best"]["median"]) for name, task in tasks.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not what `autobertc finetune` writes") from error


def _csv_table(text: str) -> dict[str, dict[str, Any]]:
    header, *rows = list(csv.reader(text.splitlines())) or [[]]
    return {
        row[0]: {task: value for task, value in zip(header[1:], row[1:], strict=False) if value.strip()}
        for row in rows
        if row
    }


def _json_table(path: Path, text: str) -> dict[str, dict[str, Any]]:
    try:
        table = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise DataError(f'{path} is not a table of results: it must be {{"MODEL": {{"TASK": SCORE, ...}}, ...}}')
    return table


def _score(path: Path, model: str, task: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{path}, {model}, {task}: {str(value)[:40]!r} is not a score")
    return found


def agreement(first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]) -> list[Agreement]:
    """Task by task, in the order of the first table, for models and tasks that both have.

    Raises `DataError` where no task has two models.
    """
    shared = [model for model in first if model in second]
    tasks = list(dict.fromkeys(task for model in shared for task in first[model]))
    found = []
    for task in tasks:
        models = [model for model in shared if task in first[model] and task in second[model]]
        if len(models) < 2:
            continue
        x, y = ([table[model][task] for model in models] for table in (first, second))
        result = kendalltau(x, y)
        defined = math.isfinite(result.statistic)
        tau, p = (float(result.statistic), float(result.pvalue)) if defined else (None, None)
        found.append(Agreement(task, tuple(models), tuple(x), tuple(y), tau, p))
    if not found:
        raise DataError("the two tables have no task of which both have two models' scores; models go by their names")
    return found


def mean_tau(found: list[Agreement]) -> float | None:
    """The mean over tasks where it is defined."""
    taus = [each.tau for each in found if each.tau is not None]
    return sum(taus) / len(taus) if taus else None


def draw_agreement(found: list[Agreement], axes_names: tuple[str, str]) -> Any:
    """A scatter for each task, its tau above."""
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure = new_figure(3.0 * columns, 2.8 * rows)
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, each in zip(places, found, strict=False):
        axes.scatter(each.first, each.second, s=16)
        tau = "undefined" if each.tau is None else f"{each.tau:.2f}"
        axes.set_title(f"{each.task}: tau {tau}", fontsize=9)
        axes.set_xlabel(axes_names[0], fontsize=8)
        axes.set_ylabel(axes_names[1], fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in places[len(found) :]:
        axes.set_axis_off()
    return figure


def write_agreement(found: list[Agreement], output: Path, axes_names: tuple[str, str]) -> Path:
    """Write `agreement.json` and the scatter, PNG and SVG, as a new folder. Raises `OutputError`."""
    with new_directory(output) as folder:
        content = {"tables": list(axes_names), "mean": mean_tau(found), "tasks": [each.to_dict() for each in found]}
        (folder / "agreement.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        save(draw_agreement(found, axes_names), folder, "agreement")
    return output
