"""Making a table: each genome trained and scored with every seed, in processes, to be gone on with after a stop."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from autobertc.dsl.errors import UserError
from autobertc.dsl.graph import Program, print_program
from autobertc.runtime.files import write_text
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.randomness import seed_of
from autobertc.search.study.workers import WorkerSettings
from autobertc.search.tabular.programs import find_moves, grow_programs
from autobertc.search.tabular.recipe import Recipe, TableError
from autobertc.search.tabular.table import (
    Choices,
    Header,
    Row,
    Table,
    check_row,
    genomes,
    read_table,
    row_from_json,
    row_to_json,
)

Evaluate = Callable[[CandidateJob], CandidateResult]


@dataclass(frozen=True)
class Task:
    """What one process does at a time: the trainings of one genome."""

    number: int
    layers: Choices
    jobs: tuple[CandidateJob, ...]
    shared_jobs: tuple[CandidateJob, ...]


def make_header(recipe: Recipe, accept: Callable[[Program], bool] | None = None) -> Header:
    """Everything that is settled before training. Raises `UserError`."""
    space = recipe.read_space()
    programs = grow_programs(recipe, space, accept)
    moves = find_moves(space, programs)
    texts = tuple(print_program(program) for program in programs)
    return Header(recipe, texts, space.kernels, tuple(map(tuple, moves)))


def make_table(
    recipe: Recipe,
    path: Path,
    evaluate: str = WorkerSettings.evaluate,
    workers: int = 1,
    snapshot: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Make the table, or finish one that was begun.

    Rows are kept in `path` + `.partial` as they come, one line each, and what was torn off by a stop is done again; the
    finished table is in the order of its genomes, whatever order they came in.

    Args:
        recipe: what to make. One that differs from the begun table's raises `TableError`.
        path: the file.
        evaluate: what scores a job, as "module:function"; each process imports it.
        workers: processes.
        snapshot: a super-net's weights, for the scores after few inherited steps; needed where the recipe has `shared`.
        progress: called with rows done and rows in all.
    """
    if (recipe.shared is None) != (snapshot is None):
        raise TableError("scores with inherited weights need both a snapshot and what the recipe has as `shared`")
    if path.exists():
        table = read_table(path)
        if not table.header.recipe.same_as(recipe):
            raise TableError(f"{path} is a table of another recipe: move it away, or name another file")
        return table
    partial = path.with_name(path.name + ".partial")
    header, done = _begun(partial, recipe) if partial.exists() else _begin(partial, recipe)
    everything = list(genomes(header))
    todo = [_task(header, number, layers, snapshot) for number, layers in everything if layers not in done]
    with partial.open("a", encoding="utf-8") as lines:
        for row in _rows(todo, evaluate, workers):
            lines.write(row_to_json(row) + "\n")
            lines.flush()
            done[row.layers] = row
            if progress:
                progress(len(done), len(everything))
    table = Table(header, tuple(done[layers] for _, layers in everything))
    table.write(path)
    partial.unlink()
    # As it is read, scores rounded: the same after a stop and without one.
    return read_table(path)


def _begin(partial: Path, recipe: Recipe) -> tuple[Header, dict[Choices, Row]]:
    header = make_header(recipe)
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(header.to_json() + "\n", encoding="utf-8")
    return header, {}


def _begun(partial: Path, recipe: Recipe) -> tuple[Header, dict[Choices, Row]]:
    """Header and rows of a begun table; a last line without an end is cut off."""
    text = partial.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return _begin(partial, recipe)
    if whole != text:
        write_text(partial, whole)
    first, *lines = whole.splitlines()
    header = Header.read(first)
    if not header.recipe.same_as(recipe):
        raise TableError(f"{partial} was begun with another recipe: move it away, or go on with that one")
    layers = recipe.read_space().layers
    rows = {}
    for number, line in enumerate(lines, start=2):
        try:
            row = row_from_json(line)
            check_row(row, header, layers)
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"{partial}, line {number}: {error}") from None
        rows[row.layers] = row
    return header, rows


def _task(header: Header, number: int, layers: Choices, snapshot: Path | None) -> Task:
    recipe = header.recipe
    text = header.genome(layers).text(recipe.read_sizes(), f"genome-{number}")

    def job(index: int, name: str, settings: dict[str, object], start: Path | None) -> CandidateJob:
        seed = seed_of(recipe.seed, name, index) % 2**31
        return CandidateJob(
            number, 0, index, text, seed, snapshot=None if start is None else str(start), settings=settings
        )

    full = tuple(job(index, "full", recipe.evaluation, None) for index in range(recipe.seeds))
    if snapshot is None or recipe.shared is None:
        return Task(number, layers, full, ())
    settings = {**recipe.evaluation, **recipe.shared}
    return Task(number, layers, full, tuple(job(i, "shared", settings, snapshot) for i in range(recipe.seeds)))


def _rows(tasks: list[Task], evaluate: str, workers: int) -> Iterator[Row]:
    """The rows as they come."""
    if workers == 1:
        with one_thread():
            yield from (run_task(task, evaluate) for task in tasks)
        return
    waiting = iter(tasks)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        # Few ahead: what is interrupted then ends soon.
        running: set[Future[Row]] = {pool.submit(run_task, task, evaluate) for task in islice(waiting, 2 * workers)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
            running |= {pool.submit(run_task, task, evaluate) for task in islice(waiting, len(finished))}


@contextmanager
def one_thread() -> Iterator[None]:
    """Computation in one thread inside the block: a score's bits depend on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def load(evaluate: str) -> Evaluate:
    """The function "module:function"."""
    module, _, name = evaluate.partition(":")
    function: Evaluate = getattr(importlib.import_module(module), name)
    return function


def run_task(task: Task, evaluate: str) -> Row:
    """Train and score a genome with every seed. One that raises or fails with a seed has no scores, and why."""
    function = load(evaluate)
    found: list[tuple[float, ...]] = []
    flops = 0
    for jobs in (task.jobs, task.shared_jobs):
        values = []
        for job in jobs:
            try:
                result = function(job)
            except UserError:
                raise  # the recipe is at fault, not the genome
            except Exception as error:
                return Row(task.layers, reason=f"{type(error).__name__}: {error}"[:200])
            if result.state != "complete":
                return Row(task.layers, flops=result.flops, reason=result.reason or result.state)
            values.append(result.values[0])
            flops = flops or result.flops
        found.append(tuple(values))
    scores, shared = found
    return Row(task.layers, scores, shared, flops)
