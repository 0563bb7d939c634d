"""What a study keeps, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from autobertc.search.evaluation.job import CandidateResult

TrialState = Literal["running", "complete", "stopped", "failed"]

# The number that the anchor's evaluations have; it is no trial.
ANCHOR = -1


@dataclass(frozen=True)
class Trial:
    """A candidate, in the order of its number.

    Attributes:
        number, round, slot: from 0; `slot` is its place in its round.
        genome: its `.abz` text.
        origin, parents, edits, probabilities, redraws, rejected: as in the `Proposal`.
        key: of what it computes: equal keys, equal functions.
        state: "running" until its values are final. One whose evaluation is over while its round's anchor is not is
            running, and has a result.
        values: the objectives, higher better, less the round's anchor; empty unless complete.
        anchor: what was subtracted.
        result: what the evaluation gave, as measured.
        started, finished: of the evaluation, seconds since 1970; 0 where unknown.
        worker: what evaluated it.
    """

    number: int
    round: int
    slot: int
    genome: str
    origin: str = "random"
    parents: tuple[int, ...] = ()
    edits: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    redraws: int = 0
    rejected: int = 0
    key: str = ""
    state: TrialState = "running"
    values: tuple[float, ...] = ()
    anchor: tuple[float, ...] = ()
    result: CandidateResult | None = None
    started: float = 0.0
    finished: float = 0.0
    worker: str = ""

    @property
    def reason(self) -> str:
        """Why it failed, or which rung stopped it."""
        return self.result.reason if self.result is not None else ""


@dataclass(frozen=True)
class Evaluation:
    """A result with when and where it came about; the number is the trial's, `ANCHOR` for the anchor."""

    round: int
    number: int
    result: CandidateResult
    started: float = 0.0
    finished: float = 0.0
    worker: str = ""


@dataclass(frozen=True)
class Round:
    """A finished round.

    Attributes:
        number: from 0.
        trials: how many it had.
        anchor: the anchor's objectives, empty where there is none.
        rescored: the parents' objectives from this round's snapshot, less the anchor, by number.
        winners: how many tensors were written back from each trial, by number.
        snapshot: the digest of the weights that the next round starts from; empty without sharing.
        seconds: of wall-clock time: "propose", "evaluate", "write back", of the driver that finished the round.
    """

    number: int
    trials: int
    anchor: tuple[float, ...] = ()
    rescored: dict[int, tuple[float, ...]] = field(default_factory=dict)
    winners: dict[int, int] = field(default_factory=dict)
    snapshot: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """A driver's stay: when it began and was last seen (seconds since 1970), and with what it worked."""

    started: float
    finished: float
    workers: str
    count: int
    host: str = ""


def plain(value: Any) -> Any:
    """A dataclass as what JSON holds."""
    data = asdict(value)
    return {name: _listed(part) for name, part in data.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_listed(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _listed(part) for key, part in value.items()}
    return value


def result_from(data: dict[str, Any]) -> CandidateResult:
    """A result that `plain` wrote; what a later version added is left out."""
    known = {each.name for each in fields(CandidateResult)}
    kept = {name: value for name, value in data.items() if name in known}
    for name in ("values", "rungs"):
        kept[name] = tuple(kept.get(name, ()))
    return CandidateResult(**kept)


def round_from(data: dict[str, Any]) -> Round:
    """A round that `plain` wrote."""
    kept = {each.name: data[each.name] for each in fields(Round) if each.name in data}
    kept["anchor"] = tuple(kept.get("anchor", ()))
    kept["rescored"] = {int(number): tuple(values) for number, values in kept.get("rescored", {}).items()}
    kept["winners"] = {int(number): count for number, count in kept.get("winners", {}).items()}
    return Round(**kept)
