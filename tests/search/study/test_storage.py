"""A study's storage: what is written comes back, from another process's point of view."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from autobertc.dsl.architecture import Sizes
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.study import database
from autobertc.search.study.database import StorageError
from autobertc.search.study.features import Features
from autobertc.search.study.records import ANCHOR, Evaluation, Round, Session, Trial
from autobertc.search.study.storage import StudyStorage

SIZES = Sizes(hidden=32, heads=2, intermediate=64, vocab=200, max_length=64)
FEATURES = Features(layers=2, max_operations=8)


def text(kernel: int) -> str:
    return Genome.read(f"conv: {kernel}\natt: softmax(scale(Q @ K.T)) @ V\n").text(SIZES)


def filled(url: str) -> StudyStorage:
    """A round of three: one complete, one that failed, one that runs."""
    storage = StudyStorage(url)
    assert not storage.exists()
    storage.create({"space": {"layers": 2}}, ["score", "speed"])
    for slot, kernel in enumerate((3, 5, 7)):
        storage.add(Trial(slot, 0, slot, text(kernel), edits=("kernel",), probabilities=(0.5,)), FEATURES)
    good = CandidateResult(
        0, "complete", values=(0.5, 2.0), scores={"recall": 0.5}, rungs=(0.1,), timings={"train": 1.0}
    )
    storage.set_result(0, Evaluation(0, 0, good, 10.0, 12.0, "process 1"))
    storage.finish(0, (0.25, 1.0))
    storage.set_result(1, Evaluation(0, 1, CandidateResult(1, "failed", "out of memory")))
    storage.finish(1, (0.25, 1.0))
    storage.set_evaluation(Evaluation(0, ANCHOR, CandidateResult(ANCHOR, "complete", values=(0.25, 1.0)), 1.0, 2.0))
    return storage


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_what_is_written_comes_back(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:///{tmp_path / 'study.db'}"
    written = filled(url)
    written.set_round(Round(0, 3, (0.25, 1.0), {0: (0.1, 0.2)}, {0: 12}, "abc", {"propose": 4.0}))
    written.set_session(Session(5.0, 6.0, "processes", 2))
    read = StudyStorage.load(url)
    assert read.trials() == written.trials()
    assert [trial.state for trial in read.trials()] == ["complete", "failed", "running"]
    assert read.trial(0).values == (0.25, 1.0) and read.trial(0).anchor == (0.25, 1.0)
    assert read.trial(0).result == written.trial(0).result and read.trial(0).worker == "process 1"
    assert read.trial(1).reason == "out of memory" and read.trial(1).values == ()
    assert read.trial(0).edits == ("kernel",) and read.trial(0).probabilities == (0.5,)
    assert read.rounds() == written.rounds() and read.rounds()[0].rescored == {0: (0.1, 0.2)}
    assert read.evaluations() == written.evaluations() and read.evaluations()[0].number == ANCHOR
    assert read.sessions() == [Session(5.0, 6.0, "processes", 2)]
    assert read.objectives == ("score", "speed") and read.meta["space"] == {"layers": 2}


def test_history_is_of_earlier_rounds() -> None:
    storage = filled(":memory:")
    storage.add(Trial(3, 1, 0, text(9), parents=(0,)), FEATURES)
    history = storage.history(before=1)
    assert [record.number for record in history.records] == [0, 1, 2]
    assert [record.values for record in history.records] == [(0.25, 1.0), (), ()]
    assert [record.number for record in storage.history().records] == [0, 1, 2, 3]
    assert history.records[0].genome == Genome.read(text(3))
    assert history.rescored == {}
    storage.set_round(Round(0, 3, rescored={0: (0.75, 1.0)}))
    assert storage.history(before=1).rescored == {0: (0.75, 1.0)}
    assert storage.history(before=0).rescored == {}


def test_optuna_reads_it(tmp_path: Path) -> None:
    """The trials are Optuna's, with parameters that its importance works on."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = StudyStorage(url)
    storage.create({}, ["score"])
    for number, kernel in enumerate((3, 5, 7, 9, 15, 31, 65, 3, 5, 7)):
        storage.add(Trial(number, 0, number, text(kernel)), FEATURES)
        result = CandidateResult(number, "complete", values=(float(kernel > 6),))
        storage.set_result(number, Evaluation(0, number, result))
        storage.finish(number)
    study = optuna.load_study(study_name="search", storage=url)
    assert study.best_trial.params["layer 1 kernel"] == 7 and study.metric_names == ["score"]
    assert study.best_trial.params["layer 2 length"] == 5 and study.best_trial.params["layer 2 inputs"] == 3
    importance = optuna.importance.get_param_importances(study)
    assert max(importance, key=lambda name: importance[name]) == "layer 1 kernel"


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = filled(url)
    storage.set_attribute("autobertc", {**storage.meta, "format": 2})
    with pytest.raises(StorageError, match=r"newer autobertc.*update autobertc"):
        StudyStorage.load(url)


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no study 'search'"):
        StudyStorage.load(f"sqlite:///{tmp_path / 'study.db'}")
    with pytest.raises(StorageError, match="no storage's URL"):
        StudyStorage("nonsense")
    with pytest.raises(StorageError, match="driver that is not installed"):
        StudyStorage("mysql+pymysql://nobody@localhost/nothing")


def test_a_locked_database_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's transaction delays a write; one that does not end is told in words, and nothing is lost."""
    monkeypatch.setattr(database, "ATTEMPT", 0.1)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = filled(url)
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    tries = []
    real = storage.database.set_study_user_attr

    def counting(*arguments: object) -> None:
        tries.append(arguments)
        if len(tries) == 3:
            other.execute("ROLLBACK")
        real(*arguments)

    monkeypatch.setattr(storage.database, "set_study_user_attr", counting)
    storage.set_attribute("gate", {"passed": True})
    assert len(tries) == 3
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(database, "PATIENCE", 0.3)
    with pytest.raises(StorageError, match=r"locked by another program.*resume"):
        storage.set_attribute("gate", {"passed": False})
    other.close()
    assert StudyStorage.load(url).attribute("gate") == {"passed": True}


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own limit of pages stands for a disk with no more room."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = filled(url)
    from sqlalchemy import event

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(storage.database.engine, "connect", limit)
    storage.database.engine.dispose()
    with pytest.raises(StorageError, match=r"no space left.*make room, then resume"):
        storage.set_attribute("large", "x" * 100_000)
    assert len(StudyStorage.load(url).trials()) == 3
