"""The gate and the last stage: kept as they come, and of the settings they are asked for with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from search_fakes import SIZES, of

from autobertc.search.evaluation.last_stage import Finalist
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.study.stages import run_gate, run_last_stage
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.workers import Workers, WorkerSettings, make_workers
from autobertc.search.study.workers.base import Answer, Task, failed

CHOSEN = [
    Finalist(label, of(sizes).text(SIZES), number)
    for label, sizes, number in (("first", [3, 3], 4), ("second", [5, 5], 2), ("bert", [9, 9], None))
]


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = make_workers(WorkerSettings("in-process", evaluate="search_fakes:evaluate_by_steps"))
    made.start()
    yield made
    made.close()


def new_storage() -> StudyStorage:
    storage = StudyStorage(":memory:")
    storage.create({}, ["score"])
    return storage


def last_stage(
    storage: StudyStorage, workers: Workers, seeds: int, steps: int, tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    return run_last_stage(storage, workers, CHOSEN, seeds, EvaluationSettings(steps=10), 0, steps, tick)


class Killed(Exception):
    """Stands for a kill."""


def test_settings_may_change_in_the_middle_and_after(workers: Workers) -> None:
    """No score of other steps or another seed comes into the table, and none that can be kept is made again."""
    storage, ticks = new_storage(), iter([None] * 4)

    def tick() -> None:
        if next(ticks, "over") == "over":
            raise Killed

    with pytest.raises(Killed):
        last_stage(storage, workers, 3, 100, tick)
    workers.close()
    for seeds, steps in ((2, 1000), (3, 1000), (1, 50)):
        expected = last_stage(new_storage(), workers, seeds, steps)
        assert last_stage(storage, workers, seeds, steps) == expected
        assert all(len(each["scores"]) == seeds for each in expected["standings"])
        assert len([data for data in storage.attributes("last stage:").values() if data]) == 3 * seeds
    workers.submit = None  # type: ignore[method-assign, assignment]
    assert last_stage(storage, workers, 1, 50) == expected


def test_what_failed_is_tried_again_by_a_resume(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, real = new_storage(), workers.wait
    whole = last_stage(new_storage(), workers, 2, 100)

    def wait(timeout: float | None = None) -> list[Answer]:
        return [
            Answer(each.key, failed(_job(each), "out of memory"), 0.0, 0.0) if each.key.endswith(":1") else each
            for each in real(timeout)
        ]

    monkeypatch.setattr(workers, "wait", wait)
    assert last_stage(storage, workers, 2, 100)["standings"][0]["scores"][1] is None
    monkeypatch.setattr(workers, "wait", real)
    assert last_stage(storage, workers, 2, 100) == whole


def _job(answer: Answer) -> Any:
    return answer.result  # `failed` takes the number of it


def test_longer_trainings_have_a_longer_limit(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = WorkerSettings(limit=7.0)
    found: list[float] = []
    real = workers.submit

    def submit(task: Task) -> None:
        found.append(task.limit(limited))
        real(task)

    monkeypatch.setattr(workers, "submit", submit)
    last_stage(new_storage(), workers, 1, 1000)
    assert len(found) == 3 and all(600 < each < 800 for each in found)


def test_another_gate_is_another(workers: Workers) -> None:
    storage, genomes = new_storage(), [of([size, 3]).text(SIZES) for size in (3, 5, 7, 9)]

    def gate(storage: StudyStorage, count: int, seeds: int) -> dict[str, Any]:
        return run_gate(storage, workers, genomes[:count], seeds, EvaluationSettings(), 0, None, lambda: None)

    for count, seeds in ((4, 3), (3, 2), (4, 2)):
        assert gate(storage, count, seeds) == gate(new_storage(), count, seeds)
