"""A run's study as the data of its report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autobertc.dsl.architecture import ConvolutionLayer
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.report.data import (
    Candidate,
    Contender,
    Fidelity,
    Gate,
    LastStage,
    Ledger,
    Objective,
    PriorityMap,
    ReportData,
    Role,
    Winner,
)
from autobertc.search.report.priority_maps import priority_maps
from autobertc.search.strategies.base import Strategy
from autobertc.search.strategies.op_nas import OpNas
from autobertc.search.study import stages
from autobertc.search.study.records import Session, Trial, result_from
from autobertc.search.study.storage import StudyStorage

COMMAND = "autobertc pretrain winner.abz -o trained --preset modern"
_OBJECTIVES = {
    "flops": Objective("FLOPs", -1),
    "parameters": Objective("parameters", -1),
    "latency": Objective("latency", -1, "s"),
}
_ROLES: dict[str, Role] = {"best random": "random", "random median": "random median", "bert": "bert"}
_NAMES = {"best random": "the best random", "random median": "the random median", "bert": "BERT"}


@dataclass(frozen=True)
class Setting:
    """What a report says of a run and its study does not hold.

    Attributes:
        strategy, proxy: in words.
        score: what the first objective is called.
        sharing: whether candidates started from shared weights.
        device: "CPU", or the name of a GPU with "GPU" behind it.
        threads: of a worker: how many cores a second of its time takes. 1 for a GPU.
        steps: that a candidate is trained; 0 where unknown.
        configuration: as TOML.
        facts: further lines.
        command: that trains the winner, whose file lies beside the page as winner.abz.
    """

    strategy: str = ""
    proxy: str = ""
    score: str = "score"
    sharing: bool = False
    device: str = "CPU"
    threads: int = 1
    steps: int = 0
    configuration: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    command: str = COMMAND


@dataclass(frozen=True)
class _Finals:
    """The last stage as the study keeps it: `standings` as `LastStage.to_dict` has them, the winner first, and the
    results of each, by seed."""

    standings: Sequence[Mapping[str, Any]]
    results: Sequence[Sequence[CandidateResult]]


def report_data(storage: StudyStorage, setting: Setting, strategy: Strategy | None = None) -> ReportData:
    """The data of a run's report, finished or not. A study that another process writes can be read meanwhile.

    Args:
        strategy: what proposes; with OP-NAS its priorities are shown as they are at the end.
    """
    trials = [trial for trial in storage.trials() if trial.result is not None]
    sessions, clock, finals = storage.sessions(), _Clock(storage.sessions()), _finals(storage)
    found, gate = stages.winner(storage), storage.attribute(stages.GATE)
    return ReportData(
        name=storage.name,
        objectives=_objectives(storage, setting, trials),
        candidates=tuple(_candidate(storage, trial, clock, setting) for trial in trials),
        state="finished" if storage.attribute(stages.FINISHED) else "not finished",
        strategy=setting.strategy,
        proxy=setting.proxy,
        started=time.strftime("%Y-%m-%d %H:%M", time.localtime(sessions[0].started)) if sessions else "",
        seconds=clock.total,
        workers=sessions[-1].count if sessions else 1,
        proposed=sum(1 + trial.redraws + trial.rejected for trial in trials),
        duplicates=sum(trial.redraws for trial in trials),
        rejections=_rejections(trials),
        priorities=_priorities(strategy, storage) if isinstance(strategy, OpNas) else (),
        fidelity=_fidelity(storage, finals) if finals else (),
        last_stage=_last_stage(finals, setting) if finals else None,
        gate=_gate(gate) if gate else None,
        ledger=_ledger(storage, trials, setting, finals),
        winner=Winner(found.number, found.genome, setting.command) if found else None,
        configuration=setting.configuration,
        facts={**setting.facts, **_facts(storage, sessions)},
    )


def _objectives(storage: StudyStorage, setting: Setting, trials: Sequence[Trial]) -> tuple[Objective, ...]:
    over = f"{setting.score} over the anchor" if any(trial.anchor for trial in trials) else setting.score
    return tuple(_OBJECTIVES.get(name, Objective(over)) for name in storage.objectives)


def _finals(storage: StudyStorage) -> _Finals | None:
    kept = storage.attribute(stages.FINAL)
    if not kept or not kept["standings"]:
        return None
    jobs = {int(key): data for key, data in storage.attributes(f"{stages.FINAL}:").items() if key.isdecimal() and data}
    places = {(label, number): place for place, (label, number) in enumerate(kept.get("members", ()))}
    results = []
    for each in kept["standings"]:
        place, seeds = places.get((each["label"], each["number"])), len(each["scores"])
        own = range(place * seeds, (place + 1) * seeds) if place is not None else ()
        results.append([result_from(jobs[index]) for index in own if index in jobs])
    return _Finals(kept["standings"], results)


class _Clock:
    """Seconds of search behind a point in time: the drivers' stays one after the other, without what lay between."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions

    @property
    def total(self) -> float:
        return self.at(float("inf"))

    def at(self, moment: float) -> float:
        stays = [max(0.0, min(moment, each.finished) - each.started) for each in self._sessions]
        # A driver that was killed did not note its last moments.
        late = max((moment - each.finished for each in self._sessions[-1:] if moment < float("inf")), default=0.0)
        return sum(stays) + max(0.0, late)


def _candidate(storage: StudyStorage, trial: Trial, clock: _Clock, setting: Setting) -> Candidate:
    result = trial.result
    assert result is not None
    layers = storage.genome(trial).layers
    # The score alone drifts from round to round; the rest is told as it was measured.
    values = (trial.values[0], *result.values[1:]) if trial.values else ()
    return Candidate(
        trial.number,
        trial.round,
        trial.slot,
        trial.origin,
        # One whose round's anchor is not scored yet has a result, and no values.
        result.state if trial.state == "running" else trial.state,
        tuple(layer.kernel if isinstance(layer, ConvolutionLayer) else 0 for layer in layers),
        trial.genome,
        trial.reason,
        values,
        dict(result.scores),
        trial.parents,
        trial.edits,
        trial.probabilities,
        clock.at(trial.started) if trial.started else 0.0,
        clock.at(trial.finished) if trial.finished else 0.0,
        _seconds(result, trial.finished - trial.started) * setting.threads,
        result.flops,
    )


def _seconds(result: CandidateResult, elapsed: float) -> float:
    """What an evaluation took of its worker; the time it was given where it did not live to say."""
    return sum(result.timings.values()) or max(0.0, elapsed)


def _rejections(trials: Sequence[Trial]) -> dict[str, int]:
    illegal = sum(trial.rejected for trial in trials)
    return {"edits that led to nothing legal": illegal} if illegal else {}


def _priorities(strategy: OpNas, storage: StudyStorage) -> tuple[PriorityMap, ...]:
    history = storage.history()
    if not history.complete():
        return ()
    return priority_maps(strategy.priorities(history), strategy.domain.operations, strategy.domain.kernels)


def _gate(verdict: Mapping[str, Any]) -> Gate | None:
    """None where too few architectures were scored to tell."""
    if verdict["between_seeds"] is None or verdict["between_architectures"] is None:
        return None
    scores = verdict["scores"]
    spreads = verdict["between_architectures"], verdict["between_seeds"]
    return Gate(len(scores), len(scores[0]) if scores else 0, *spreads, verdict["passed"])


def _ledger(storage: StudyStorage, trials: Sequence[Trial], setting: Setting, finals: _Finals | None) -> Ledger:
    again = storage.evaluations()
    parts: Counter[str] = Counter()
    for result in [*(trial.result for trial in trials), *(each.result for each in again)]:
        for name, seconds in result.timings.items() if result else ():
            parts[name] += seconds * setting.threads  # type: ignore[assignment]
    scratch, note = _scratch(finals, setting) if finals and setting.sharing else (None, "")
    rescored = sum(_seconds(each.result, each.finished - each.started) for each in again) * setting.threads
    return Ledger(setting.device, setting.sharing, dict(parts), scratch, note, rescored)


def _scratch(finals: _Finals, setting: Setting) -> tuple[float | None, str]:
    """What a candidate would cost from scratch, and where that comes from: the last stage, if it trained longer than
    candidates are trained. As many steps without inherited weights do not lead as far."""
    costs = [sum(result.timings.values()) * setting.threads for own in finals.results for result in own]
    costs = [seconds for seconds in costs if seconds]
    if not costs:
        return None, ""
    steps = min(each["steps"] for each in finals.standings)
    if steps < 1.5 * setting.steps:
        return None, f"not made: the last stage's {steps:,} steps are hardly more than a candidate's {setting.steps:,}."
    note = f"each candidate at the mean cost of the last stage's {len(costs)} trainings from scratch."
    return sum(costs) / len(costs), note


def _last_stage(finals: _Finals, setting: Setting) -> LastStage:
    seeds = max(len(each["scores"]) for each in finals.standings)
    contenders = [
        _contender(standing, results, place, setting)
        for place, (standing, results) in enumerate(zip(finals.standings, finals.results, strict=True))
    ]
    return LastStage(setting.score, "FLOPs", tuple(range(seeds)), tuple(contenders))


def _contender(
    standing: Mapping[str, Any], results: Sequence[CandidateResult], place: int, setting: Setting
) -> Contender:
    label, number = standing["label"], standing["number"]
    role: Role = _ROLES.get(label, "other") if number is None or label in _ROLES else "top"
    name = _NAMES.get(label, f"candidate {number}" if number is not None else label)
    if place == 0 and role == "top":
        role, name = "winner", f"the winner ({number})"
    whole = [result for result in results if result.state == "complete"]
    names = list(dict.fromkeys(task for result in whole for task in result.scores))
    return Contender(
        name,
        role,
        tuple(standing["scores"]),
        number,
        {task: tuple(result.scores[task] for result in whole if task in result.scores) for task in names},
        standing["steps"],
        seconds=tuple(sum(result.timings.values()) * setting.threads for result in whole if result.timings),
    )


def _fidelity(storage: StudyStorage, finals: _Finals) -> tuple[Fidelity, ...]:
    """Search against last stage, of the finalists that the search scored: of all tasks together and of each."""
    points: dict[str, list[tuple[str, float, float]]] = {}
    for standing, results in zip(finals.standings, finals.results, strict=True):
        trial = storage.trial(standing["number"]) if standing["number"] is not None else None
        if trial is None or trial.result is None or not trial.values:
            continue
        name = f"candidate {trial.number}"
        if standing["mean"] is not None:
            points.setdefault("all together", []).append((name, trial.values[0], standing["mean"]))
        for task, score in storage.relative_scores(trial).items():
            full = [result.scores[task] for result in results if result.state == "complete" and task in result.scores]
            if full:
                points.setdefault(task, []).append((name, score, sum(full) / len(full)))
    return tuple(Fidelity(task, tuple(found)) for task, found in points.items())


def _facts(storage: StudyStorage, sessions: Sequence[Session]) -> dict[str, str]:
    facts = {"ended because": str(reason)} if (reason := storage.attribute(stages.FINISHED)) else {}
    if sessions:
        facts["workers"] = sessions[-1].workers
        facts["host"] = ", ".join(dict.fromkeys(each.host for each in sessions if each.host))
        facts["drivers"] = str(len(sessions))
    return {name: text for name, text in facts.items() if text}
