"""What a run's scores are worth: the benchmark's table of a search without much of one."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
from kill_search import CONFIGURATION

from autobertc.search.configuration import load_configuration
from autobertc.search.study.assembly import begin_run, search


@pytest.mark.slow
def test_table_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    (tmp_path / "search.toml").write_text(CONFIGURATION)
    settings = ["study.trials=14", "last_stage.top=0", "gate.enabled=false", 'workers.kind="in-process"']
    configuration = load_configuration(tmp_path / "search.toml", settings=settings)
    begin_run(tmp_path / "run", configuration)
    with search(tmp_path / "run", configuration, say=lambda line: None) as going:
        going()
    monkeypatch.setattr(sys, "argv", ["search_scores.py", str(tmp_path / "run"), "--candidates", "5"])
    benchmark = import_module("search_scores")
    for _ in range(2):  # the second time nothing is trained
        benchmark.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| run |")]
    assert len(rows) == 2 + 4 and rows[1:3] == rows[4:6]
    assert [row.split(" | ")[1] for row in rows[1:3]] == ["as measured", "less the anchor"]
    assert len(list((tmp_path / "run/from-scratch").glob("*.json"))) == 5
