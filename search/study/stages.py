"""What comes before the rounds and after them: the signal gate, and the last stage from scratch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from statistics import median_low
from typing import Any

from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.gate import GateVerdict, gate_jobs, judge_gate
from autobertc.search.evaluation.job import CandidateJob, CandidateResult
from autobertc.search.evaluation.last_stage import Finalist, LastStage, final_jobs, judge_last_stage
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.records import Trial, plain, result_from
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.workers.base import Task, Workers

GATE, FINAL = "gate", "last stage"
FINISHED = "finished"
"""Why the search ended, once it has, the last stage with it."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def run_jobs(
    storage: StudyStorage,
    workers: Workers,
    name: str,
    jobs: Sequence[CandidateJob],
    allowances: Sequence[float],
    tick: Callable[[], None],
) -> list[CandidateResult]:
    """Evaluate jobs, in their order; results are kept as they come, and those kept before are not made again, unless
    they are of other jobs or failed.

    Raises `UserError` where the machine is at fault.
    """
    kept = storage.attributes(f"{name}:")
    keys = [job_key(job) for job in jobs]
    results: dict[int, CandidateResult] = {}
    for place, data in kept.items():
        if place.isdecimal() and data:
            index = int(place)
            if index < len(jobs) and data.get("job") == keys[index] and data["state"] != "failed":
                results[index] = result_from(data)
            else:
                storage.set_attribute(f"{name}:{place}", None)
    waiting = {f"{name}:{index}": index for index in range(len(jobs)) if index not in results}
    for key, index in waiting.items():
        workers.submit(Task(key, jobs[index], allowances[index]))
    while waiting:
        for answer in workers.wait(1.0):
            index = waiting.pop(answer.key)
            if answer.trouble:
                raise UserError(f"the search stops: {answer.trouble}. Nothing is lost: see to that, then resume")
            data = {"started": answer.started, "finished": answer.finished, "worker": answer.worker, "job": keys[index]}
            storage.set_attribute(answer.key, {**plain(answer.result), **data})
            results[index] = answer.result
        tick()
    return [results[index] for index in range(len(jobs))]


def job_key(job: CandidateJob) -> str:
    """A hash of all that a job's result depends on; wherever the run's folder is."""
    told = {**asdict(job), "snapshot": job.snapshot and Path(job.snapshot).name, "output": None}
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=12).hexdigest()


def _kept(storage: StudyStorage, name: str, jobs: Sequence[CandidateJob]) -> dict[str, Any] | None:
    """What came of a stage, if it was of these jobs and none failed."""
    known = storage.attribute(name)
    whole = known is not None and known.get("jobs") == [job_key(job) for job in jobs]
    return dict(known) if whole else None


def _keep(
    storage: StudyStorage,
    name: str,
    jobs: Sequence[CandidateJob],
    results: Sequence[CandidateResult],
    came: dict[str, Any],
) -> dict[str, Any]:
    """Keep what came of a stage, and of which jobs: with a failed one it is not whole, a resume tries that again."""
    whole = all(result.state != "failed" for result in results)
    storage.set_attribute(name, {**_without_nan(came), "jobs": [job_key(job) for job in jobs] if whole else None})
    return dict(storage.attribute(name))


def run_gate(
    storage: StudyStorage,
    workers: Workers,
    genomes: Sequence[str],
    seeds: int,
    settings: EvaluationSettings,
    seed: int,
    snapshot: str | None,
    tick: Callable[[], None],
) -> dict[str, Any]:
    """The gate's verdict as JSON has it, kept as the study's attribute `gate`."""
    jobs = gate_jobs(genomes, seeds, settings, seed, snapshot)
    known = _kept(storage, GATE, jobs)
    if known is not None:
        return known
    results = run_jobs(storage, workers, GATE, jobs, [1.0] * len(jobs), tick)
    verdict: GateVerdict = judge_gate(results, seeds)
    return _keep(storage, GATE, jobs, results, verdict.to_dict())


def finalists(storage: StudyStorage, top: int, random: bool, named: Sequence[tuple[str, str]]) -> list[Finalist]:
    """Who takes part in the last stage: the best, the best and the median random candidate, named architectures.

    A random candidate that is among the best is there once. `named` are (name, `.abz` text).
    """
    history = storage.history()
    ordered = best(current_values(history), len(history.records))
    chosen = [
        Finalist(_place(place), _text(storage, record.number), record.number)
        for place, record in enumerate(ordered[:top])
    ]
    if random:
        found = [record for record in ordered if storage.trial(record.number).origin == "random"]
        values = {record.number: record.score for record in found}
        if found:
            middle = median_low(values.values())
            median = next(record.number for record in found if values[record.number] == middle)
            for label, number in (("best random", found[0].number), ("random median", median)):
                if number not in [each.number for each in chosen]:
                    chosen.append(Finalist(label, _text(storage, number), number))
    return chosen + [Finalist(name, text) for name, text in named]


def _place(place: int) -> str:
    return _ORDINALS[place] if place < len(_ORDINALS) else f"number {place + 1}"


def _text(storage: StudyStorage, number: int) -> str:
    return storage.trial(number).genome


def run_last_stage(
    storage: StudyStorage,
    workers: Workers,
    chosen: Sequence[Finalist],
    seeds: int,
    settings: EvaluationSettings,
    seed: int,
    steps: int | None,
    tick: Callable[[], None],
) -> dict[str, Any]:
    """The last stage as JSON has it, kept as the study's attribute `last stage`; its winner first.

    The winner is the one of the search's best that does best from scratch.
    """
    jobs = final_jobs(chosen, seeds, settings, seed, steps)
    known = _kept(storage, FINAL, jobs)
    if known is not None:
        return known
    if storage.attribute(FINAL) is not None:  # after a larger budget, or with other seeds: another last stage
        storage.set_attribute(FINAL, None)
    allowances = [max(1.0, job.settings["steps"] / settings.steps) for job in jobs]
    results = run_jobs(storage, workers, FINAL, jobs, allowances, tick)
    stage = judge(chosen, seeds, jobs, results)
    members = [[each.label, each.number] for each in chosen]
    return _keep(storage, FINAL, jobs, results, {**stage.to_dict(), "members": members})


def judge(
    chosen: Sequence[Finalist], seeds: int, jobs: Sequence[CandidateJob], results: Sequence[CandidateResult]
) -> LastStage:
    """Standings, the winner first, and the winner less every other."""
    standings = judge_last_stage(chosen, seeds, jobs, results).standings
    searched = [place for place, each in enumerate(chosen) if each.label == _place(place)]
    means = {place: standings[place].mean for place in searched if standings[place].mean == standings[place].mean}
    first = min(means, key=lambda place: (-means[place], place), default=0)
    order = [first, *(place for place in range(len(chosen)) if place != first)]
    parts = [slice(place * seeds, (place + 1) * seeds) for place in order]
    return judge_last_stage(
        [chosen[place] for place in order],
        seeds,
        [job for part in parts for job in jobs[part]],
        [result for part in parts for result in results[part]],
    )


def winner(storage: StudyStorage) -> Trial | None:
    """The best candidate: of the last stage, or before it of the search. None where nothing was evaluated."""
    stage = storage.attribute(FINAL)
    if stage is not None and stage["standings"][0]["number"] is not None:
        return storage.trial(stage["standings"][0]["number"])
    found = best(current_values(storage.history()), 1)
    return storage.trial(found[0].number) if found else None


def _without_nan(value: Any) -> Any:
    """Numbers that are not finite as None: databases refuse them in JSON."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and value != value else value
