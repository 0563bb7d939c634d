r"""The tabular benchmark: make a table of genomes and scores, and replay searches over it.

    python benchmarks/tabular.py supernet search/tabular/standard.toml weights/      # for scores with inherited weights
    python benchmarks/tabular.py make search/tabular/standard.toml table.jsonl [--workers 2] \
        [--snapshot weights/round-000060.safetensors]
    python benchmarks/tabular.py replay [table.jsonl] [--seeds 200] [--plot docs/search-tabular.svg]

`make` trains every genome of the recipe with every seed; a stop loses what is under way, and the same command goes on.
`replay` searches the table, by default the one that comes with autobertc, with every strategy and prints what the best
candidate is worth, by candidates evaluated.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from autobertc.dsl.errors import UserError
from autobertc.search.study.workers import WorkerSettings
from autobertc.search.tabular.figure import plot_curves
from autobertc.search.tabular.inherited import ROUNDS, train_supernet
from autobertc.search.tabular.making import make_table
from autobertc.search.tabular.programs import components
from autobertc.search.tabular.recipe import STANDARD_TABLE, read_recipe
from autobertc.search.tabular.replay import Budget, Replay, all_curves, band, better_share, sentences
from autobertc.search.tabular.table import Table, read_table


def supernet(arguments: argparse.Namespace) -> None:
    def progress(done: int, total: int) -> None:
        print(f"round {done} of {total}", flush=True)

    recipe = read_recipe(arguments.recipe)
    print(train_supernet(recipe, arguments.folder, arguments.rounds, evaluate=arguments.evaluate, progress=progress))


def make(arguments: argparse.Namespace) -> None:
    recipe = read_recipe(arguments.recipe)
    if arguments.snapshot is None:
        recipe = replace(recipe, shared=None)
    start = time.monotonic()
    first: list[int] = []

    def progress(done: int, total: int) -> None:
        first.append(done)
        if done % 25 == 0 or done == total:
            rate = (time.monotonic() - start) / (done - first[0] + 1)
            left = rate * (total - done) / 60
            print(f"{done} of {total} genomes, {rate:.1f} s each, {left:.0f} minutes left", flush=True)

    table = make_table(recipe, arguments.table, arguments.evaluate, arguments.workers, arguments.snapshot, progress)
    describe(table)


def describe(table: Table) -> None:
    """What a table holds, and how far its scores can be trusted."""
    moves = [list(own) for own in table.header.moves]
    targets = [len({move.target for move in own}) for own in moves]
    closed = "all combinations" if table.closed else "a sample of the combinations"
    print(f"{len(table.rows)} genomes: {closed} of {len(targets)} programs and {len(table.header.kernels)} kernels")
    parts = components(moves)
    print(f"programs have {np.mean(targets):.1f} others one edit away, in {parts} connected part{'s' * (parts > 1)}")
    scored = np.array([row.scores for row in table.rows if row.scores])
    print(f"{len(table.rows) - len(scored)} genomes have no score")
    if len(scored) and scored.shape[1] > 1:
        between, within = scored.mean(axis=1).std(), scored.std(axis=1, ddof=1).mean()
        print(f"spread between genomes {between:.4f}, between seeds of one {within:.4f}")


def replay(arguments: argparse.Namespace) -> None:
    replay = Replay(read_table(arguments.table))
    describe(replay.table)
    if not replay.sharing:
        print("the table has no scores with inherited weights: sharing cannot be replayed")
    budget = Budget(arguments.candidates, arguments.population, arguments.round_size)
    results = all_curves(replay, budget, arguments.seeds, arguments.workers)
    checkpoints = sorted({budget.population, budget.population * 2, budget.candidates // 2, budget.candidates})
    checkpoints = [at for at in checkpoints if at <= budget.candidates]
    printed = Printed(title=f"worth of the best candidate, mean of {arguments.seeds} seeds (95% interval)")
    printed.add_column("strategy")
    for at in checkpoints:
        printed.add_column(f"after {at}", justify="right")
    printed.add_column("better genomes at the end", justify="right")
    for label, found in results.items():
        drawn = band(found)
        cells = [
            f"{drawn.mean[at - 1]:.4f} ({drawn.low[at - 1]:.4f} to {drawn.high[at - 1]:.4f})" for at in checkpoints
        ]
        shares = [better_share(replay, worth) for worth in found[:, -1]]
        printed.add_row(label, *cells, f"{np.median(shares):.2%}")
    Console(width=180).print(printed)
    print("\n".join(sentences(results, checkpoints[-2:])))
    if arguments.plot:
        plot_curves(results, arguments.plot)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    scoring = {"default": WorkerSettings.evaluate, "help": 'what scores a genome, as "module:function"'}
    warming = commands.add_parser("supernet")
    warming.add_argument("recipe", type=Path)
    warming.add_argument("folder", type=Path)
    warming.add_argument("--rounds", type=int, default=ROUNDS)
    warming.add_argument("--evaluate", **scoring)
    warming.set_defaults(run=supernet)
    making = commands.add_parser("make")
    making.add_argument("recipe", type=Path)
    making.add_argument("table", type=Path)
    making.add_argument("--workers", type=int, default=1)
    making.add_argument("--evaluate", **scoring)
    making.add_argument("--snapshot", type=Path, help="a super-net's weights, for a recipe with `shared`")
    making.set_defaults(run=make)
    replaying = commands.add_parser("replay")
    replaying.add_argument("table", type=Path, nargs="?", default=STANDARD_TABLE)
    replaying.add_argument("--seeds", type=int, default=200)
    budget = Budget()
    replaying.add_argument("--candidates", type=int, default=budget.candidates)
    replaying.add_argument("--population", type=int, default=budget.population)
    replaying.add_argument("--round-size", type=int, default=budget.round_size)
    replaying.add_argument("--workers", type=int, default=1)
    replaying.add_argument("--plot", type=Path, help="an .svg or .png file")
    replaying.set_defaults(run=replay)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
