"""Figure 6: strategies beside each other, by replay on a tabular benchmark."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autobertc.runtime.data.cache import digest
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.search.biws.snapshots import snapshot_path
from autobertc.search.tabular.figure import plot_curves
from autobertc.search.tabular.inherited import ROUNDS, train_supernet
from autobertc.search.tabular.making import make_table
from autobertc.search.tabular.recipe import STANDARD, STANDARD_TABLE, Recipe, read_recipe
from autobertc.search.tabular.replay import Budget, Replay, all_curves, band, sentences
from autobertc.search.tabular.table import Table as SearchTable
from autobertc.search.tabular.table import read_table


@dataclass(frozen=True)
class _Size:
    """What differs from the standard recipe, by field, tables by key; and how much is replayed."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = ROUNDS
    seeds: int = 200
    budget: Budget = field(default_factory=Budget)


_SIZES = {
    "smoke": _Size(
        {
            "programs": 3,
            "space": {"kernels": [3, 5]},
            "sizes": {"hidden": 16, "intermediate": 32},
            "evaluation": {"steps": 4, "batch": 4, "length": 16},
            "shared": {"steps": 2},
        },
        rounds=2,
        seeds=10,
        budget=Budget(candidates=20, population=5, round_size=5, parents=2),
    ),
    "laptop": _Size(),
    "gpu": _Size({"sizes": {"hidden": 128, "heads": 4, "intermediate": 256}, "evaluation": {"device": "auto"}}),
}


def recipe_of(context: Context) -> Recipe:
    """The standard recipe at a scale."""
    recipe = read_recipe(STANDARD)
    changes: dict[str, Any] = {
        name: {**getattr(recipe, name), **value} if isinstance(value, Mapping) else value
        for name, value in _size(context).changes.items()
    }
    return replace(recipe, **{**changes, "seed": context.seed})


def _size(context: Context) -> _Size:
    return _SIZES.get(context.scale.name, _SIZES["gpu"])


def table_of(context: Context) -> SearchTable:
    """The table of the scale to search in: the one that comes with autobertc, or made, or found again."""
    recipe, workers = recipe_of(context), os.cpu_count() or 1
    if recipe.same_as(read_recipe(STANDARD)):
        context.say(f"searching the table that comes with autobertc, {STANDARD_TABLE.name}")
        return read_table(STANDARD_TABLE)
    folder = context.runs / f"table-{digest(recipe.to_dict())[:10]}"
    rounds = _size(context).rounds
    snapshot = snapshot_path(folder / "supernet", rounds)
    if not snapshot.is_file():
        context.say("training the super-net of the table")
        train_supernet(recipe, folder / "supernet", rounds)

    def progress(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            context.say(f"{done} of {total} genomes")

    return make_table(recipe, folder / "table.jsonl", workers=workers, snapshot=snapshot, progress=progress)


def make(context: Context) -> Section:
    """Every strategy over many seeds."""
    table, size = table_of(context), _size(context)
    replay, recipe = Replay(table), table.header.recipe
    curves = all_curves(replay, size.budget, size.seeds, os.cpu_count() or 1)
    for kind in ("png", "svg"):
        plot_curves(curves, Path(context.figures) / f"strategies.{kind}")
    points = (size.budget.candidates // 2, size.budget.candidates)
    rows = []
    for label, found in curves.items():
        drawn = band(found)
        cells = (f"{drawn.mean[at - 1]:.4f} ({drawn.low[at - 1]:.4f} to {drawn.high[at - 1]:.4f})" for at in points)
        rows.append((label, *cells))
    header = ("strategy", *(f"after {at} candidates (95% interval)" for at in points))
    return Section(
        done=(
            f"{len(table.rows):,} models of {recipe.read_space().layers} layers were trained {recipe.seeds} "
            f"times each on mechanistic tasks, and from a super-net's weights; {size.seeds} searches of every strategy "
            "were replayed over their scores. A candidate's worth is its score in trainings the search did not see.",
        ),
        tables=(Table("Worth of the best candidate, ours", header, tuple(rows)),),
        figures=("strategies.png",),
        findings=tuple(sentences(curves, points)),
        reasons=(
            "The paper shows one search of each strategy over models of BERT's size, as curves without numbers; here "
            "are many searches over small models, with intervals.",
            "With sharing, the super-net was trained before the searches, not along with them.",
        ),
    )


ENTRIES = (Entry("figure6", "the search beside random search and plain evolution", make, order=16),)
