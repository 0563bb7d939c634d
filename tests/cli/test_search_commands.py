"""The search from the command line: a real one, small, killed and resumed; and the mistakes before anything trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, autobertc, heed_interrupts, tree
from kill_search import CONFIGURATION, main, results

from autobertc.cli import searching
from autobertc.search.configuration import load_configuration


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at its end, in this process's own worker."""
    place = tmp_path_factory.mktemp("search")
    (place / "search.toml").write_text(CONFIGURATION)
    options = ["-c", place / "search.toml", "-o", place / "run", "--workers", "in-process", "--set", "study.trials=10"]
    done = autobertc("search", "run", *options)
    assert "The signal gate is" in done.stdout and "the winner is candidate" in done.stdout
    assert "round 0: 4 candidates" in done.stdout and "a minute" in done.stdout
    return place / "run"


def test_status(searched: Path) -> None:
    done = autobertc("search", "status", searched)
    assert "the budget of 10 candidates is spent" in done.stdout and "10 of 10 candidates" in done.stdout
    facts = json.loads(autobertc("search", "status", searched, "--json").stdout)
    assert facts["trials"] == 10 and facts["gate"]["statement"] and facts["last_stage"]["standings"]


def test_best_is_a_file(searched: Path, tmp_path: Path) -> None:
    text = autobertc("search", "best", searched).stdout
    (tmp_path / "best.abz").write_text(text)
    assert "2 layers" in autobertc("check", tmp_path / "best.abz").stdout
    assert json.loads(autobertc("search", "best", searched, "--json").stdout)["genome"] == text


def test_trials(searched: Path) -> None:
    rows = json.loads(autobertc("search", "trials", searched, "--limit", "0", "--json").stdout)
    assert [row["number"] for row in rows] == list(range(10))
    best = json.loads(autobertc("search", "trials", searched, "--limit", "3", "--json").stdout)
    scores = [row["values"]["score"] for row in best]
    assert len(scores) == 3
    assert "layers" in autobertc("search", "trials", searched).stdout


def test_export(searched: Path, tmp_path: Path) -> None:
    done = autobertc("search", "export", searched, "-o", tmp_path / "out")
    assert tree(tmp_path / "out") == ["winner.abz", "winner.svg"]
    assert f"autobertc pretrain {tmp_path / 'out' / 'winner.abz'}" in done.stdout and "--vocab 4096" in done.stdout
    autobertc("search", "export", searched, "-o", tmp_path / "other", "--trial", "3")
    assert (
        "there is no candidate 99"
        in autobertc("search", "export", searched, "-o", tmp_path / "x", "--trial", "99", expect=1).stderr
    )


def test_report(searched: Path, tmp_path: Path) -> None:
    done = autobertc("search", "report", searched, "-o", tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert f"wrote {tmp_path / 'report' / 'index.html'}" in done.stdout
    assert "autobertc pretrain winner.abz -o model" in page


def test_a_larger_budget(searched: Path) -> None:
    """Resumed at its end there is nothing to do; other settings are refused."""
    done = autobertc("search", "resume", searched, "--workers", "in-process")
    assert "the budget of 10 candidates is spent" in done.stdout and "round" not in done.stdout
    refused = autobertc("search", "resume", searched, "--set", "space.layers=3", expect=1)
    assert "this study searches another space: space.layers is 2 there and 3 here" in refused.stderr
    refused = autobertc("search", "resume", searched, "--set", "workers.threads=2", expect=1)
    assert "workers.threads is 1 there and 2 here" in refused.stderr


def test_mistakes_before_anything_is_trained(searched: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for options, message in (
        (["--set", "study.trails=3"], "study.trails: unknown key; did you mean `trials`?"),
        (["--set", "space.ops=['add']"], "space.ops: no program that mixes tokens"),
        (["--workers", "many"], "--workers takes a number, ray, ray://HOST:PORT or in-process"),
        (["--set", "strategy.name=opnas"], "did you mean 'op-nas'"),
        (["--set", "study.anchor=brt"], "'brt' is no architecture's name"),
        (["--set", "strategy.named=['brt']"], "'brt' is no architecture's name"),
        (["--set", "study.storage=nowhere"], "is no storage's URL"),
        (["--set", "study.storage=:memory:"], "a run has to outlast its process"),
        (["--set", "last_stage.named=['brt']"], "'brt' is no architecture's name"),
        (["--set", "evaluation.learning_rates=[nan]"], "evaluation.learning_rates: give"),
        (["--set", "model.embedding=-1"], "model.embedding: embedding is at least 1, not -1"),
        (["--set", "last_stage.steps=-1"], "last_stage.steps: steps is at least 0, not -1"),
    ):
        assert message in autobertc("search", "run", "--preset", "tiny", "-o", run, *options, expect=1).stderr
        assert not run.exists()
    assert "no preset is called" in autobertc("search", "run", "--preset", "huge", "-o", run, expect=1).stderr
    taken = autobertc("search", "run", "--preset", "tiny", "-o", searched, expect=1)
    assert f"`autobertc search resume {searched}`" in taken.stderr
    for command in ("status", "best", "trials", "resume"):
        assert "is no run of a search" in autobertc("search", command, tmp_path, expect=1).stderr
    autobertc("search", "run", "-o", run, expect=2)


def test_a_folder_that_no_url_can_name(tmp_path: Path) -> None:
    for name in ("what?", "100%", "a#b"):
        found = autobertc("search", "run", "--preset", "tiny", "-o", tmp_path / name, expect=1)
        assert "mean something else in a storage's URL" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_gone(searched: Path, tmp_path: Path) -> None:
    """No second study begins in its place, and looking makes no database."""
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    (run / "study.db").unlink()
    assert "has no study yet" in autobertc("search", "status", run, expect=1).stderr
    assert not (run / "study.db").exists()
    assert "without it there is nothing to go on with" in autobertc("search", "resume", run, expect=1).stderr
    elsewhere = f"study.storage=sqlite:///{tmp_path / 'other.db'}"
    found = autobertc("search", "resume", searched, "--set", elsewhere, expect=1)
    assert "there is no study 'search' in" in found.stderr
    assert "10 of 10 candidates" in autobertc("search", "status", searched).stdout


@pytest.mark.slow
def test_a_larger_budget_makes_the_last_stage_old(searched: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    assert "best of the last stage" in autobertc("search", "status", run).stdout
    autobertc("search", "resume", run, "--set", "study.trials=14", "--set", "last_stage.top=0")
    status = autobertc("search", "status", run).stdout
    assert "14 of 14 candidates" in status and "best of the search so far" in status
    assert json.loads(autobertc("search", "status", run, "--json").stdout)["last_stage"] is None


@pytest.mark.slow
def test_data_that_is_not_there_fails_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "search.toml").write_text(CONFIGURATION)
    options = ["-c", tmp_path / "search.toml", "-o", tmp_path / "run", "--workers", "in-process"]
    options += ["--set", "evaluation.proxy=masked-lm", "--set", "evaluation.tasks=[]"]
    options += ["--set", "evaluation.sources=['nowhere.txt']", "--set", "gate.enabled=false"]
    found = autobertc("search", "run", *options, expect=1)
    assert "the search stops: there is no file or folder nowhere.txt" in found.stderr


def test_a_storage_of_a_newer_version(searched: Path, tmp_path: Path) -> None:
    from autobertc.search.study.storage import StudyStorage

    url = f"sqlite:///{tmp_path / 'new.db'}"
    storage = StudyStorage(url)
    storage.create({}, ["score"])
    storage.set_attribute("autobertc", {**storage.meta, "format": 99})
    options = ["--preset", "tiny", "-o", tmp_path / "run", "--set", f"study.storage={url}"]
    assert "written by a newer autobertc" in autobertc("search", "run", *options, expect=1).stderr
    assert not (tmp_path / "run").exists()


def test_a_study_of_another_space(tmp_path: Path) -> None:
    from autobertc.search.study.storage import StudyStorage

    url = f"sqlite:///{tmp_path / 'shared.db'}"
    tables = load_configuration(preset="tiny", settings=["space.layers=7", f"study.storage={url}"]).tables()
    StudyStorage(url).create({"configuration": tables, "device": "cpu"}, ["score"])
    options = ["--preset", "tiny", "-o", tmp_path / "run", "--set", f"study.storage={url}"]
    found = autobertc("search", "run", *options, expect=1)
    assert "this study searches another space: space.layers is 7 there and 4 here" in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_anchor_that_is_another_now(tmp_path: Path) -> None:
    """Scores of later rounds would be relative to something else."""
    (tmp_path / "search.toml").write_text(CONFIGURATION)
    (tmp_path / "anchor.abz").write_text("conv: 3\nconv: 5\n")
    options = ["--set", f"study.anchor={tmp_path / 'anchor.abz'}", "--set", "last_stage.top=0"]
    options += ["--set", "gate.enabled=false", "--set", "study.trials=4", "--workers", "in-process"]
    autobertc("search", "run", "-c", tmp_path / "search.toml", "-o", tmp_path / "run", *options)
    (tmp_path / "anchor.abz").write_text("conv: 3\nconv: 7\n")
    found = autobertc("search", "resume", tmp_path / "run", "--set", "study.trials=8", expect=1)
    assert "the anchor that every score is relative to, is not what it was" in found.stderr
    assert "trials = 4" in (tmp_path / "run/search.toml").read_text()  # what is refused changes nothing


def test_workers() -> None:
    assert searching.worker_settings(None) == []
    for text, kind, address, count in (
        ("3", "processes", "", 3),
        ("ray", "ray", "", 0),
        ("ray://head:10001", "ray", "ray://head:10001", 0),
        ("in-process", "in-process", "", 1),
    ):
        workers = load_configuration(preset="tiny", settings=searching.worker_settings(text)).workers
        assert (workers.kind, workers.address, workers.count) == (kind, address, count)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """It ends at once, says how to go on, and leaves no process."""
    (tmp_path / "search.toml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "autobertc", "search", "run", "-c", "search.toml", "-o", "run"]
    command += ["--set", "study.trials=1000"]  # it is not at its end when it is interrupted, however fast the machine
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, **ENVIRONMENT, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **options) as process:  # type: ignore[call-overload]
        for line in process.stdout:
            if line.startswith("round 0"):
                break
        time.sleep(0.5)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in error, error
    assert "stopped" in error and "autobertc search resume run" in error
    assert "not at its end" in autobertc("search", "status", tmp_path / "run").stdout


@pytest.mark.slow
def test_killed_three_times(tmp_path: Path) -> None:
    main(3, 16, tmp_path)


@pytest.mark.slow
def test_ray_gives_the_same_search(searched: Path, tmp_path: Path) -> None:
    """A cluster of its own, whose tasks have the super-net's weights from the object store and give theirs back."""
    pytest.importorskip("ray")
    options = ["-c", searched.parent / "search.toml", "-o", tmp_path / "run", "--set", "study.trials=10"]
    done = autobertc("search", "run", *options, "--workers", "ray")
    assert "the winner is candidate" in done.stdout
    assert results(tmp_path / "run") == results(searched)
