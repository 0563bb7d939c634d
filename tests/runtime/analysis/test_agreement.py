"""Kendall's tau of two tables: against its definition, each way to write a table, and what is none."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from autobertc.dsl.errors import UserError
from autobertc.runtime.analysis.agreement import agreement, mean_tau, read_results, write_agreement


def test_against_its_definition() -> None:
    rng = random.Random(0)
    first = {f"m{i}": {"rte": rng.random()} for i in range(6)}
    second = {name: {"rte": rng.random()} for name in first}
    signs = [
        1 if (first[a]["rte"] - first[b]["rte"]) * (second[a]["rte"] - second[b]["rte"]) > 0 else -1
        for a, b in itertools.combinations(first, 2)
    ]
    (found,) = agreement(first, second)
    assert found.tau == pytest.approx(sum(signs) / len(signs)) and found.models == tuple(first)


def test_what_both_have() -> None:
    first = {"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 3}, "only": {"x": 9}}
    second = {"c": {"x": 1, "y": 5}, "b": {"x": 2, "y": 2}, "a": {"x": 3, "y": 1, "z": 0}}
    found = {each.task: each for each in agreement(first, second)}
    assert found["x"].models == ("a", "b", "c") and found["x"].tau == pytest.approx(-1)
    assert found["y"].models == ("a", "b") and found["y"].tau is None  # the first has one score for both
    assert mean_tau(list(found.values())) == pytest.approx(-1)
    with pytest.raises(UserError, match="no task"):
        agreement({"a": {"x": 1}}, second)


def test_tables(tmp_path: Path) -> None:
    table = {"a": {"x": 0.5, "y": 1.0}, "b": {"x": 0.25}}
    (tmp_path / "t.json").write_text(json.dumps(table))
    (tmp_path / "t.csv").write_text("model,x,y\na,0.5,1\nb,0.25,\n")
    for name, row in table.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        tasks = {task: {"best": {"median": score}} for task, score in row.items()}
        (folder / "results.json").write_text(json.dumps({"model": "m", "tasks": tasks}))
    assert all(read_results(tmp_path / name) == table for name in ("t.json", "t.csv", "runs"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[1]", "not a table of results"), ('{"a": {"x": "good"}}', "'good' is not a score")],
)
def test_tables_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_results(path)
    with pytest.raises(UserError, match="cannot read"):
        read_results(tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no folder with"):
        read_results(tmp_path / "empty")


def test_the_folder(tmp_path: Path) -> None:
    first = {name: {"x": score, "y": -score, "z": 0} for score, name in enumerate("abc")}
    write_agreement(agreement(first, first), tmp_path / "out", ("early", "late"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"agreement.json", "agreement.png", "agreement.svg"}
    content = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert content["mean"] == pytest.approx(1) and [task["tau"] for task in content["tasks"]] == pytest.approx(
        [1, 1, None]
    )
