"""A study in an Optuna storage: every candidate a trial, rounds and the rest as attributes of the study.

A trial is written whole, with its genome, when its round is proposed. Its result is one attribute; its final state is
set last. So a driver killed between any two writes leaves trials that are known, evaluated or not, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.strategies.base import History, Record
from autobertc.search.study.database import StorageError, open_database, patiently
from autobertc.search.study.features import Features
from autobertc.search.study.records import ANCHOR, Evaluation, Round, Session, Trial, plain, result_from, round_from

FORMAT = 1
DEFAULT_NAME = "search"
_META = "autobertc"


class StudyStorage:
    """A study to read and, by the one driver that holds its lock, to write. Raises `StorageError`.

    To read: `trials`, `rounds`, `evaluations`, `history`, `meta`, `attribute`. Each call of `refresh` looks again.
    """

    def __init__(self, url: str, name: str = DEFAULT_NAME) -> None:
        self.url, self.name = url, name
        self.database = open_database(url)
        self._id: int | None = None
        self._trials: dict[int, Trial] = {}
        self._ids: dict[int, int] = {}
        self._records: dict[int, Record] = {}
        self._attributes: dict[str, Any] = {}

    # Opening

    @staticmethod
    def load(url: str, name: str = DEFAULT_NAME) -> StudyStorage:
        """A study that is there. Raises `StorageError` where there is none, or it is of a newer version."""
        storage = StudyStorage(url, name)
        storage._find()
        if storage._id is None or _META not in storage._attributes:
            raise StorageError(f"there is no study {name!r} in {url}")
        storage.check_format()
        return storage

    def exists(self) -> bool:
        """Whether the study was begun."""
        self._find()
        return _META in self._attributes

    def prepare(self, objectives: Sequence[str]) -> None:
        """See that the storage has a study of the name, begun or not: a lease is kept with it."""
        import optuna

        self._find()
        if self._id is None:
            maximize = [optuna.study.StudyDirection.MAXIMIZE] * len(objectives)
            # Another driver may make it at the same moment; which of the two goes on is the lock's affair.
            with _quiet(optuna), suppress(optuna.exceptions.DuplicatedStudyError):
                self._call("create_new_study", maximize, self.name)
            self._find()
        elif _META not in self._attributes and self._call("get_n_trials", self._id):
            raise StorageError(
                f"{self.url} has a study {self.name!r} already that is no search of autobertc: take another name"
            )

    def create(self, meta: dict[str, Any], objectives: Sequence[str]) -> None:
        """Begin the study. `meta` is what must be known to go on: space, configuration, device."""
        import optuna

        self.prepare(objectives)
        names = getattr(optuna.study.study, "_SYSTEM_ATTR_METRIC_NAMES", "study:metric_names")
        self._call("set_study_system_attr", self._id, names, list(objectives))
        self.set_attribute(_META, {"format": FORMAT, "objectives": list(objectives), **meta})

    def check_format(self) -> None:
        """Raise `StorageError` where a newer version wrote the study."""
        found = self.meta.get("format", 0)
        if found > FORMAT:
            raise StorageError(
                f"the study in {self.url} was written by a newer autobertc (format {found}, this one knows {FORMAT}): "
                "update autobertc"
            )

    def _find(self) -> None:
        try:
            self._id = self._call("get_study_id_from_name", self.name)
        except KeyError:
            return
        self.refresh()

    def _call(self, method: str, *arguments: Any) -> Any:
        return patiently(self.url, lambda: getattr(self.database, method)(*arguments))

    # Reading

    @property
    def meta(self) -> dict[str, Any]:
        """What `create` was given, the format and the names of the objectives."""
        return dict(self._attributes[_META])

    @property
    def objectives(self) -> tuple[str, ...]:
        """Their names; the first decides."""
        return tuple(self.meta["objectives"])

    def refresh(self) -> None:
        """Look at the database again, for a reader beside a running driver."""
        self._attributes = dict(self._call("get_study_user_attrs", self._id))
        for frozen in self._call("get_all_trials", self._id):
            if "genome" in frozen.user_attrs:
                self._ids[frozen.number] = frozen._trial_id
                self._trials[frozen.number] = _trial(frozen)

    def trials(self) -> list[Trial]:
        """Every candidate, by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    def trial(self, number: int) -> Trial:
        """One candidate."""
        return self._trials[number]

    def rounds(self) -> list[Round]:
        """The finished rounds, by number."""
        found = [round_from(data) for key, data in self._attributes.items() if key.startswith("round:")]
        return sorted(found, key=lambda each: each.number)

    def evaluations(self) -> list[Evaluation]:
        """Anchors and parents scored again, by round and number."""
        found = []
        for key, data in self._attributes.items():
            if key.startswith("rescored:"):
                _, round, number = key.split(":")
                found.append(_evaluation(int(round), int(number), data))
        return sorted(found, key=lambda each: (each.round, each.number))

    def sessions(self) -> list[Session]:
        """The drivers that worked on the study, in order."""
        found = [Session(**data) for key, data in self._attributes.items() if key.startswith("session:")]
        return sorted(found, key=lambda each: each.started)

    def attribute(self, key: str) -> Any:
        """Another thing kept with the study ("gate", "final:..."), None where there is none."""
        return self._attributes.get(key)

    def read_attribute(self, key: str) -> Any:
        """`attribute`, as it is in the database now."""
        return self._call("get_study_user_attrs", self._id).get(key)

    def attributes(self, prefix: str) -> dict[str, Any]:
        """All that are kept under `prefix`, by the rest of their keys."""
        return {key[len(prefix) :]: value for key, value in self._attributes.items() if key.startswith(prefix)}

    def history(self, before: int | None = None) -> History:
        """What a strategy may know: of the rounds before a number, or of all.

        Running trials are there without values. A finished trial's record is the same object each time.
        """
        chosen = [trial for trial in self.trials() if before is None or trial.round < before]
        rescored: dict[int, tuple[float, ...]] = {}
        for each in self.rounds():
            if before is None or each.number < before:
                rescored.update(each.rescored)
        return History([self._record(trial) for trial in chosen], rescored)

    def _record(self, trial: Trial) -> Record:
        record = self._records.get(trial.number)
        if record is None or record.values != trial.values:
            genome = self.genome(trial)
            record = Record(trial.number, trial.round, trial.slot, genome, trial.values, trial.parents)
            self._records[trial.number] = record
        return record

    def genome(self, trial: Trial) -> Genome:
        """A trial's genome."""
        return _parsed(trial.genome)

    def relative_scores(self, trial: Trial) -> dict[str, float]:
        """A complete trial's score of each task, less the anchor's: raw ones drift from round to round as the first
        objective does. As they are where there is no anchor."""
        scored = {each.round: each.result.scores for each in self.evaluations() if each.number == ANCHOR}
        anchor = scored.get(trial.round, scored.get(0, {}))  # without weight sharing it is scored once
        scores = trial.result.scores if trial.result is not None else {}
        return {task: score - anchor.get(task, 0.0) for task, score in scores.items()}

    # Writing

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep something with the study; JSON's types."""
        self._call("set_study_user_attr", self._id, key, value)
        self._attributes[key] = value

    def add(self, trial: Trial, features: Features) -> None:
        """Write a new candidate, as running. Raises `UserError` where its number is not the next one."""
        import optuna

        params, distributions = features.of(self.genome(trial))
        known = {name: getattr(trial, name) for name in _PROPOSED}
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=params,
            distributions=distributions,
            user_attrs={name: list(value) if isinstance(value, tuple) else value for name, value in known.items()},
        )
        identity = self._call("create_new_trial", self._id, template)
        number = self._call("get_trial_number_from_id", identity)
        if number != trial.number:
            raise UserError(f"the study in {self.url} changed under this driver: its next trial is {number}")
        self._ids[number] = identity
        self._trials[number] = trial

    def set_result(self, number: int, evaluation: Evaluation) -> None:
        """Keep what a candidate's evaluation gave; it is running still."""
        data = _when(evaluation)
        self._call("set_trial_user_attr", self._ids[number], "result", {**plain(evaluation.result), **data})
        self._trials[number] = replace(self._trials[number], result=evaluation.result, **data)

    def finish(self, number: int, anchor: tuple[float, ...] = ()) -> None:
        """Give a candidate with a result its final state and values: the objectives, less the anchor's."""
        import optuna

        trial = self._trials[number]
        result = trial.result
        assert result is not None, "no result to finish with"
        values = over_anchor(result, anchor)
        self._call("set_trial_user_attr", self._ids[number], "anchor", list(anchor))
        states = optuna.trial.TrialState
        state = {"complete": states.COMPLETE, "stopped": states.PRUNED, "failed": states.FAIL}[result.state]
        self._call("set_trial_state_values", self._ids[number], state, list(values) or None)
        self._trials[number] = replace(trial, state=result.state, values=values, anchor=anchor)

    def set_evaluation(self, evaluation: Evaluation) -> None:
        """Keep a parent's or an anchor's evaluation."""
        data = _when(evaluation)
        key = f"rescored:{evaluation.round}:{evaluation.number}"
        self.set_attribute(key, {**plain(evaluation.result), **data})

    def set_round(self, round: Round) -> None:
        """Keep a finished round: from here on it is not looked at again."""
        self.set_attribute(f"round:{round.number}", plain(round))

    def set_session(self, session: Session) -> None:
        """Keep a driver's stay."""
        self.set_attribute(f"session:{session.started:.3f}", plain(session))


_PROPOSED = (
    "round", "slot", "genome", "origin", "parents", "edits", "probabilities", "redraws", "rejected", "key",
)  # fmt: skip


def over_anchor(result: CandidateResult, anchor: tuple[float, ...]) -> tuple[float, ...]:
    """The objectives less the anchor's, in the order of both; none unless complete."""
    if result.state != "complete":
        return ()
    if not anchor:
        return result.values
    return tuple(value - other for value, other in zip(result.values, anchor, strict=True))


def _when(evaluation: Evaluation) -> dict[str, Any]:
    """When and where it was."""
    return {"started": evaluation.started, "finished": evaluation.finished, "worker": evaluation.worker}


def _trial(frozen: Any) -> Trial:
    attributes = frozen.user_attrs
    known: dict[str, Any] = {name: attributes[name] for name in _PROPOSED if name in attributes}
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    trial = Trial(number=frozen.number, **known)
    if "result" in attributes:
        data = attributes["result"]
        when = {name: data[name] for name in ("started", "finished", "worker")}
        trial = replace(trial, result=result_from(data), **when)
    if frozen.state.is_finished() and trial.result is not None:
        values = tuple(frozen.values) if frozen.state.name == "COMPLETE" else ()
        trial = replace(trial, state=trial.result.state, values=values, anchor=tuple(attributes.get("anchor", ())))
    return trial


def _evaluation(round: int, number: int, data: dict[str, Any]) -> Evaluation:
    return Evaluation(round, number, result_from(data), data["started"], data["finished"], data["worker"])


_genomes: dict[str, Genome] = {}


def _parsed(text: str) -> Genome:
    """A genome's text read once: histories are asked for each round."""
    if text not in _genomes:
        if len(_genomes) > 20_000:
            _genomes.clear()
        _genomes[text] = Genome.read(text)
    return _genomes[text]


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's line about a new study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def now() -> float:
    """Seconds since 1970."""
    return time.time()
