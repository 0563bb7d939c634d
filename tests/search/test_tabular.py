"""The tabular benchmark on a small table with a fake evaluation."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autobertc.dsl.errors import UserError
from autobertc.search.biws.snapshots import read_tensors
from autobertc.search.positions import positions
from autobertc.search.randomness import generator
from autobertc.search.strategies.domain import Draws
from autobertc.search.strategies.priorities import CALIBRATED, Statistics
from autobertc.search.tabular.figure import plot_curves
from autobertc.search.tabular.inherited import train_supernet
from autobertc.search.tabular.making import make_header, make_table
from autobertc.search.tabular.programs import components
from autobertc.search.tabular.recipe import Recipe, TableError
from autobertc.search.tabular.replay import Budget, Contender, Replay, all_curves, band, difference, sentence
from autobertc.search.tabular.table import Row, Table, genomes, read_table
from autobertc.search.tabular.table_space import TableSpace

SPACE = {
    "ops": ["matmul", "softmax", "scale", "transpose", "relu"],
    "inputs": ["Q", "K", "V"],
    "length": [2, 5],
    "layers": 2,
    "kernels": [5, 65],
}
RECIPE = Recipe(SPACE, programs=5, sizes={"hidden": 8, "heads": 2, "vocab": 11})


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.pop("fake_evaluate", None)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table with scores by inherited weights as well; the file is `made`."""
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        recipe = replace(RECIPE, shared={"steps": 5})
        return make_table(recipe, folder / "made.jsonl", "fake_evaluate:evaluate", snapshot=folder / "weights")


def test_programs_are_connected_by_moves_that_are_edits(table: Table) -> None:
    header = table.header
    assert len(header.programs) == 5 and header.programs[0].startswith("att: matmul(softmax(scale(matmul(Q")
    assert components([list(own) for own in header.moves]) == 1
    replaced = [
        (header.choices[number].program, move, header.choices[move.target].program)  # type: ignore[union-attr]
        for number, own in enumerate(header.moves)
        for move in own
        if move.kind == "delete"
    ]
    assert replaced
    for before, move, after in replaced:
        assert move.op is None and move.legal == ()
        assert len(positions(after)) < len(positions(before)) and move.position < len(positions(before))
    for own in header.moves:
        assert all(move.op is None or move.op in move.legal for move in own)
        # Shares of one site and operation are a part of what all sites have.
        assert sum(move.share / max(1, len(move.legal)) for move in own) <= 1
    assert make_header(RECIPE).moves == header.moves


def test_a_table_is_closed_and_whole(table: Table) -> None:
    assert len(table.rows) == 7**2 and table.closed
    failed = [row for row in table.rows if row.reason]
    assert [row.layers for row in failed] == [(6, 6)] and failed[0].scores == ()
    scored = table.rows[0]
    assert len(scored.scores) == len(scored.shared) == 2 and scored.scores[0] != scored.scores[1]


def test_a_stopped_table_is_finished_to_the_same(table: Table, tmp_path: Path) -> None:
    whole = make_table(RECIPE, tmp_path / "whole.jsonl", "fake_evaluate:evaluate")
    path = tmp_path / "stopped.jsonl"
    with pytest.raises(KeyboardInterrupt):
        make_table(RECIPE, path, "fake_evaluate:stopping")
    partial = path.with_name("stopped.jsonl.partial")
    assert not path.exists() and len(partial.read_text().splitlines()) == 10  # the header, 9 genomes of two seeds
    torn = partial.read_text()[:-20]
    partial.write_text(torn)
    with pytest.raises(TableError, match="begun with another recipe"):
        make_table(replace(RECIPE, seed=1), path, "fake_evaluate:evaluate")
    counts: list[int] = []
    made = make_table(RECIPE, path, "fake_evaluate:evaluate", progress=lambda done, total: counts.append(done))
    assert counts[0] == 9 and counts[-1] == 49
    assert made == whole and not partial.exists()
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert make_table(RECIPE, path, "fake_evaluate:raising") == whole  # nothing is left to do
    with pytest.raises(TableError, match="another recipe"):
        make_table(replace(RECIPE, seeds=3), path)


def test_processes_make_the_same_table(tmp_path: Path) -> None:
    recipe = replace(RECIPE, programs=2, genomes=8)
    alone = make_table(recipe, tmp_path / "alone.jsonl", "fake_evaluate:evaluate")
    shared_out = make_table(recipe, tmp_path / "out.jsonl", "fake_evaluate:evaluate", workers=2)
    assert alone == shared_out and len(alone.rows) == 8 and not alone.closed


def test_what_raises_has_its_reason(tmp_path: Path) -> None:
    recipe = replace(RECIPE, programs=2, genomes=3)
    made = make_table(recipe, tmp_path / "t.jsonl", "fake_evaluate:raising")
    assert {row.reason for row in made.rows} == {"ArithmeticError: no such luck"}
    with pytest.raises(TableError, match="no genome of the table has scores"):
        Replay(made)


def test_a_sample_has_parents_and_children() -> None:
    header = make_header(replace(RECIPE, genomes=30))
    listed = [layers for _, layers in genomes(header)]
    assert len(set(listed)) == 30 and listed == [layers for _, layers in genomes(header)]
    near = [
        any(sum(a != b for a, b in zip(one, other, strict=True)) == 1 for other in listed[:index])
        for index, one in enumerate(listed)
    ]
    assert sum(near) > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: ["{}", *lines[1:]], "not the header"),
        (lambda lines: [], "not the header"),
        (lambda lines: [lines[0].replace('"version": 1', '"version": 2'), *lines[1:]], "version 2"),
        (lambda lines: lines[:-1], "finish it"),
        (lambda lines: [*lines, lines[-1]], "line 51: .* twice"),
        (lambda lines: [lines[0], "{", *lines[2:]], "line 2"),
        (lambda lines: [lines[0], '{"layers": [0, 99], "scores": [1, 2]}', *lines[2:]], "line 2: .* do not fit"),
        (lambda lines: [lines[0], '{"layers": [0, 0], "scores": [1]}', *lines[2:]], "line 2: .* 2 seeds"),
        (lambda lines: [lines[0], '{"layers": [0, 0]}', *lines[2:]], "line 2: .* reason"),
        (lambda lines: [lines[0], '{"layers": [0, 0], "scores": [1, NaN]}', *lines[2:]], "line 2: .* number"),
    ],
)
def test_broken_tables(table: Table, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "table.jsonl"
    table.write(path)
    assert read_table(path) == table
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(TableError, match=message):
        read_table(path)


def test_recipes_are_checked(tmp_path: Path) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(RECIPE.to_dict()))) == RECIPE
    with pytest.raises(TableError, match="no 'program'; known"):
        Recipe.from_dict({"space": SPACE, "program": 3})
    with pytest.raises(TableError, match="seeds of at least 1"):
        replace(RECIPE, seeds=0)
    with pytest.raises(TableError, match=r"sizes\.hiden"):
        replace(RECIPE, sizes={"hiden": 8}).read_sizes()
    with pytest.raises(UserError, match="kernel"):
        make_header(replace(RECIPE, space={**SPACE, "kernels": [4]}))
    with pytest.raises(TableError, match="snapshot"):
        make_table(replace(RECIPE, shared={}), tmp_path / "t.jsonl")


def test_draws_are_the_moves_by_their_chance(table: Table) -> None:
    space = TableSpace(table)
    program = max(range(5), key=lambda number: len(table.header.moves[number]))
    genome = table.header.genome((program, 5))
    statistics = Statistics(len(space.operations), 2)
    for number, other in enumerate(space.genomes):
        statistics.add(space.traits(other), float(table.rows[number].scores[0]) if table.rows[number].scores else -1)
    priorities = statistics.priorities(CALIBRATED)
    expected: Counter[int] = Counter()
    for move in table.header.moves[program]:
        legal = [space.operations.index(name) for name in move.legal]
        p = priorities.operation(0, move.position, legal) if move.op else [1.0]
        expected[move.target] += move.share * p[move.legal.index(move.op) if move.op else 0]  # type: ignore[assignment]
    drawn: Counter[int] = Counter()
    rng = generator(1)
    for _ in range(3000):
        edited = space.edit_program(genome, Draws(rng, priorities))
        assert edited is not None
        layers = space.layers(edited.genome)
        assert layers[1] == 5 and layers[0] != program
        drawn[layers[0]] += 1
    total = sum(expected.values())
    for target, share in expected.items():
        assert abs(drawn[target] / 3000 - share / total) < 0.04
    assert drawn.keys() <= expected.keys()


def test_layer_edits(table: Table) -> None:
    space = TableSpace(table)
    rng = generator(1)
    found = set()
    for _ in range(300):
        edited = space.edit_layer(table.header.genome((0, 5)), Draws(rng))
        assert edited is not None
        first, second = space.layers(edited.genome)
        assert (first, second) != (0, 5)
        found.add((first >= 5, second >= 5))
    # The program became a kernel; the kernel another, or a program.
    assert found == {(True, True), (False, True), (False, False)}


def test_replays(table: Table) -> None:
    replay = Replay(table)
    budget = Budget(candidates=30, population=10, round_size=10, parents=3)
    assert len(replay.contenders()) == 8
    results = all_curves(replay, budget, seeds=3)
    for label, curves in results.items():
        assert curves.shape == (3, 30) and np.isfinite(curves).all(), label
        assert np.nanmin(replay.means) <= curves.min() and curves.max() <= np.nanmax(replay.means) + 0.1
    again = replay.search(replay.contenders()[4], 2, budget)
    assert (again == results["OP-NAS, calibrated"][2]).all()
    # Strategies share their random first population.
    assert (results["evolution"][:, :10] == results["random search"][:, :10]).all()


def test_without_inherited_scores_sharing_is_not_replayed(table: Table) -> None:
    rows = tuple(replace(row, shared=()) for row in table.rows)
    assert [contender.sharing for contender in Replay(replace(table, rows=rows)).contenders()] == [False] * 4


def test_what_is_worth_is_not_what_was_seen(table: Table) -> None:
    # The first training says nothing, the second all: a search that sees one is worth the other.
    rows = tuple(Row(row.layers, (float(number), -float(number))) for number, row in enumerate(table.rows))
    replay = Replay(replace(table, rows=rows))
    curve = replay.search(Contender("", "random"), 1, Budget(candidates=20, population=20, round_size=10))
    assert min(curve) < -10


def test_an_exhausted_table_ends(table: Table) -> None:
    curve = Replay(table).search(Contender("", "evolution"), 0, Budget(candidates=100, population=25))
    assert len(curve) == 100 and len(set(curve[49:])) == 1


def test_bands_and_sentences(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    low = np.sort(rng.normal(0, 1, (100, 30)), axis=1)
    results = {"a": low + 0.5 + rng.normal(0, 0.1, (100, 1)), "b": low}
    found = band(low)
    assert ((found.low < found.mean) & (found.mean < found.high)).all()
    # 95% of the mean of 100 values of deviation 1: about 0.2 either way.
    assert 0.1 < (found.high - found.mean)[15] / low[:, 15].std() < 0.3
    mean, least, most = difference(results["a"], results["b"], 30)
    assert least < mean < most and abs(mean - 0.5) < 0.05
    assert "a finds better candidates than b (+0.4941" in sentence(results, "a", "b", 30)
    assert "b finds worse candidates than a" in sentence(results, "b", "a", 30)
    results["c"] = low + rng.normal(0, 1, (100, 1))
    assert "cannot be told apart" in sentence(results, "c", "b", 30)
    for name in ("figure.svg", "figure.png"):
        plot_curves(results, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    before = (tmp_path / "figure.svg").read_bytes()
    plot_curves(results, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_bytes() == before


def test_budgets() -> None:
    with pytest.raises(TableError, match="multiple of the round's 25"):
        Budget(candidates=30, round_size=25)


def test_real_evaluation_from_a_trained_supernet(tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        programs=1,
        roots=1,
        genomes=3,
        sizes={"hidden": 8, "heads": 2, "intermediate": 8, "vocab": 40, "max_length": 32},
        evaluation={"proxy": "mechanistic", "steps": 2, "batch": 2, "length": 32, "scored": 4, "tasks": ["induction"]},
        shared={"steps": 1},
    )
    snapshot = train_supernet(recipe, tmp_path / "weights", rounds=1, children=2)
    trained = read_tensors(snapshot)[1]
    longer = train_supernet(recipe, tmp_path / "weights", rounds=3, children=2)  # over what is there
    assert not snapshot.exists() and longer.exists()
    assert train_supernet(recipe, tmp_path / "weights", rounds=1, children=2) == snapshot
    assert read_tensors(snapshot)[1] == trained
    made = make_table(recipe, tmp_path / "t.jsonl", snapshot=snapshot)
    assert [row.reason for row in made.rows] == ["", "", ""]
    assert all(len(row.scores) == len(row.shared) == 2 and row.flops > 0 for row in made.rows)
    with pytest.raises(UserError, match="stepps"):
        make_table(replace(recipe, evaluation={"stepps": 1}, shared=None), tmp_path / "u.jsonl")
