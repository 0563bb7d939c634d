"""A study, made by a driver and a strategy, as the data of its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from search_fakes import LAYERS, SIZES, driver, plan

from autobertc.dsl.errors import UserError
from autobertc.search.configuration import load_configuration
from autobertc.search.evaluation.gate import judge_gate
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.report.data import ReportData
from autobertc.search.report.from_run import Setting, report_data
from autobertc.search.report.page import Page
from autobertc.search.report.priority_maps import priority_maps
from autobertc.search.report.runs import read_run
from autobertc.search.report.statistics import paired
from autobertc.search.space import Space
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.op_nas import OpNas
from autobertc.search.strategies.priorities import CALIBRATED, Statistics
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.assembly import begin_run, locate
from autobertc.search.study.driver import Driver
from autobertc.search.study.records import Session, plain
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.workers.base import WorkerSettings

SETTING = Setting("OP-NAS", "a sum", "accuracy", True, "CPU", 2, 50, "[study]\n", {"seed": "3"})


@pytest.fixture(scope="module")
def search() -> Driver:
    workers = WorkerSettings("in-process", evaluate="search_fakes:evaluate_by_operations")
    made = driver(None, plan(anchor=Genome.read("conv: 3\n" * LAYERS).text(SIZES), trials=20), workers)
    made.strategy = OpNas(GenomeSpace(Space(layers=LAYERS, length=(2, 6))), Settings(population=8, parents=3), 3)
    made.run()
    return made


def keep_last_stage(storage: StudyStorage) -> None:
    """A last stage of the best three, one random one and BERT, two seeds each: the second of the search comes first."""
    top = [record.number for record in best(current_values(storage.history()), 3)]
    members = [("first", top[0]), ("second", top[1]), ("third", top[2]), ("best random", 0), ("bert", None)]
    scores = [(0.7, 0.75), (0.9, 0.8), (0.6, None), (0.5, 0.45), (None, 0.7)]
    standings = [
        {
            "label": label,
            "number": number,
            "steps": 100 + place,
            "flops": 7,
            "scores": list(scores[place]),
            "mean": sum(score or 0 for score in scores[place]) / sum(score is not None for score in scores[place]),
        }
        for place, (label, number) in enumerate(members)
    ]
    for place, (_, own) in enumerate(zip(members, scores, strict=True)):
        for seed, score in enumerate(own):
            result = CandidateResult(0, "failed", "out of memory")
            if score is not None:
                known = {"scores": {"recall": score / 2}, "timings": {"train": 30.0}}
                result = CandidateResult(0, "complete", values=(score,), **known)
            storage.set_attribute(f"last stage:{2 * place + seed}", plain(result))
    ordered = [standings[1], standings[0], *standings[2:]]
    storage.set_attribute("last stage", {"standings": ordered, "members": [list(each) for each in members]})


def test_candidates_are_the_trials(search: Driver) -> None:
    data = report_data(search.storage, SETTING)
    assert [each.number for each in data.candidates] == list(range(20))
    states = {each.number: each.state for each in data.candidates}
    assert states[3] == states[10] == "failed" and states[5] == states[14] == "stopped" and states[0] == "complete"
    for each, trial in zip(data.candidates, search.storage.trials(), strict=True):
        assert (each.values, each.parents, each.edits) == (trial.values, trial.parents, trial.edits)
        assert len(each.layers) == LAYERS
        if each.state == "complete":
            # Two threads for four seconds.
            assert each.device_seconds == 8
    assert data.objectives[0].name == "accuracy over the anchor"
    assert data.proposed == 20 + data.duplicates + sum(data.rejections.values())
    assert data.winner and data.winner.number == best(current_values(search.storage.history()), 1)[0].number
    assert data.ledger and data.ledger.parts["score"] > 2 * sum(each.state == "complete" for each in data.candidates)
    assert data.ledger.again > 0


def test_priorities_are_those_of_the_end(search: Driver) -> None:
    data = report_data(search.storage, SETTING, search.strategy)
    mean, kernels, *layers = data.priorities
    assert mean.title == "mean over the layers" and kernels.title == "kernel sizes"
    assert [each.title for each in layers] == [f"layer {index + 1}" for index in range(LAYERS)]
    for each in data.priorities:
        for column in range(len(each.columns)):
            assert sum(row[column] or 0 for row in each.probabilities) == pytest.approx(1)
    assert isinstance(search.strategy, OpNas)
    priorities = search.strategy.priorities(search.storage.history())
    names = list(search.strategy.domain.operations)
    first = layers[0]
    legal = [
        names.index(row) for row, shares in zip(first.rows, first.probabilities, strict=True) if shares[0] is not None
    ]
    expected = priorities.operation(0, 0, legal)
    assert [shares[0] for shares in first.probabilities if shares[0] is not None] == pytest.approx(expected)


def test_without_statistics_there_are_no_maps() -> None:
    nothing = Statistics(3, 2).priorities(CALIBRATED)
    assert priority_maps(nothing, ("a", "b", "c"), (3, 5)) == ()


def test_last_stage_and_fidelity(search: Driver) -> None:
    searched = best(current_values(search.storage.history()), 3)
    keep_last_stage(search.storage)
    data = report_data(search.storage, SETTING, search.strategy)
    assert data.last_stage and data.winner and data.ledger
    contenders = data.last_stage.contenders
    assert [each.role for each in contenders] == ["winner", "top", "top", "random", "bert"]
    assert data.winner.number == contenders[0].number == searched[1].number
    assert [each.scores for each in contenders[1:3]] == [(0.7, 0.75), (0.6, None)]
    assert contenders[0].tasks == {"recall": (0.45, 0.4)}
    assert contenders[0].seconds == (60, 60) and contenders[0].steps == 101
    assert data.ledger.scratch_seconds == 60
    short = report_data(search.storage, replace(SETTING, steps=90)).ledger
    assert short and short.scratch_seconds is None and "hardly more" in short.scratch_note
    assert [(each.task, len(each.points)) for each in data.fidelity] == [("all together", 4), ("recall", 4)]
    name, score, full = data.fidelity[0].points[0]
    assert (name, full) == (f"candidate {data.winner.number}", pytest.approx(0.85))
    assert score == search.storage.trial(data.winner.number).values[0]


def test_a_failed_seed_is_left_out_of_both(search: Driver) -> None:
    keep_last_stage(search.storage)
    stage = report_data(search.storage, SETTING).last_stage
    assert stage
    difference = paired(stage.contenders[0].scores, stage.contenders[4].scores)
    assert difference and difference.value == pytest.approx(0.8 - 0.7) and difference.low is None


def test_gate(search: Driver) -> None:
    results = [CandidateResult(0, "complete", values=(float(value),)) for value in (1, 2, 5, 6, 9, 10)]
    search.storage.set_attribute("gate", judge_gate(results, 2).to_dict())
    gate = report_data(search.storage, SETTING).gate
    assert gate and gate.passed and (gate.architectures, gate.seeds) == (3, 2)
    assert gate.between_seeds == pytest.approx(0.5**0.5)
    unknown = {**judge_gate(results, 2).to_dict(), "between_seeds": None}
    search.storage.set_attribute("gate", unknown)
    assert report_data(search.storage, SETTING).gate is None


def test_time_between_drivers_does_not_count(search: Driver) -> None:
    storage = search.storage
    data = report_data(storage, SETTING)
    assert 0 < data.seconds < 600
    first = storage.sessions()[0]
    storage.set_session(Session(first.started - 5000, first.started - 4900, "processes", 2, "elsewhere"))
    again = report_data(storage, SETTING)
    assert again.seconds == pytest.approx(data.seconds + 100)
    assert again.candidates[-1].finished == pytest.approx(data.candidates[-1].finished + 100)
    assert "elsewhere" in again.facts["host"]


def test_a_page_of_a_run(search: Driver) -> None:
    keep_last_stage(search.storage)
    data = report_data(search.storage, SETTING, search.strategy)
    html = Page(data).html()
    assert data == ReportData.from_json(data.to_json())
    assert "went non-finite" in html and "autobertc pretrain winner.abz" in html
    assert 'aria-label="Priorities, mean over the layers' in html


def test_a_study_without_results(tmp_path: Path) -> None:
    data = report_data(driver(tmp_path).storage, SETTING)
    assert data.candidates == () and data.winner is None and data.state == "not finished"
    assert "No winner" in Page(data).html()


def test_the_report_of_a_folder(tmp_path: Path) -> None:
    """As the command makes it."""
    with pytest.raises(UserError, match=r"no search\.toml"):
        read_run(tmp_path)
    configuration = load_configuration(preset="tiny")
    begin_run(tmp_path / "run", configuration)
    StudyStorage(*locate(tmp_path / "run", configuration)).create({"device": "cuda H100", "threads": 4}, ["score"])
    data = read_run(tmp_path / "run", "train it")
    assert data.strategy == "OP-NAS with shared weights" and data.proxy == "mechanistic tasks"
    assert data.ledger and data.ledger.device == "H100 GPU" and data.ledger.sharing
    assert data.facts["priorities"] == "calibrated" and "layers = 4" in data.configuration
