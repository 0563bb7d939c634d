"""What a report tells, as plain data: made from a run by `from_run`, or by anybody with results of their own."""

from __future__ import annotations

import json
import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

State = Literal["complete", "stopped", "failed"]
Role = Literal["winner", "top", "random", "random median", "bert", "other"]


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        name: what it is called in the report.
        sign: -1 where the search maximises the negative of what is shown (a latency, FLOPs), else 1.
        unit: behind its numbers.
    """

    name: str
    sign: int = 1
    unit: str = ""


@dataclass(frozen=True)
class Candidate:
    """One trial, in the order of its number.

    Attributes:
        number, round, slot: from 0.
        origin: "random", "child", "crossover" or "named".
        state: "failed" has its reason, "stopped" the rung that stopped it.
        layers: the kernel size of each layer, 0 for attention.
        genome: its `.abz` text; may be empty where only the numbers are known.
        values: the objectives, higher better; the first less its round's anchor, if there is one. Empty unless
            complete.
        scores: each task's score as measured.
        parents, edits, probabilities: as `Proposal` has them.
        started, finished: seconds since the search started; 0 where unknown.
        device_seconds: seconds of a device or core that it took.
        flops: of a forward pass for one sequence; 0 where unknown.
    """

    number: int
    round: int
    slot: int
    origin: str
    state: State
    layers: tuple[int, ...]
    genome: str = ""
    reason: str = ""
    values: tuple[float, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    parents: tuple[int, ...] = ()
    edits: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    started: float = 0.0
    finished: float = 0.0
    device_seconds: float = 0.0
    flops: int = 0


@dataclass(frozen=True)
class Contender:
    """An architecture of the last stage, trained from scratch.

    Attributes:
        role: why it is there; "random" is the best random one, "random median" the one at the median of the random
            population.
        number: of its trial, if it has one.
        scores: the score of each seed, in the order of the seeds, which all contenders share; None where it failed.
        tasks: scores of each task, of the seeds that did not fail.
        steps: of training.
        training_flops: of the whole training of one seed; 0 where unknown.
        seconds: of one device, for each seed.
        parameters: 0 where unknown.
    """

    name: str
    role: Role
    scores: tuple[float | None, ...]
    number: int | None = None
    tasks: dict[str, tuple[float, ...]] = field(default_factory=dict)
    steps: int = 0
    training_flops: float = 0.0
    seconds: tuple[float, ...] = ()
    parameters: int = 0

    @property
    def known(self) -> tuple[float, ...]:
        """The scores of the seeds that did not fail."""
        return tuple(score for score in self.scores if score is not None)


@dataclass(frozen=True)
class LastStage:
    """Training from scratch.

    Attributes:
        metric: what the scores are.
        equal: what the contenders have in common.
        seeds: one for each score.
    """

    metric: str
    equal: Literal["FLOPs", "steps"]
    seeds: tuple[int, ...]
    contenders: tuple[Contender, ...]


@dataclass(frozen=True)
class PriorityMap:
    """Priorities of one layer, of all, or of kernel sizes, as they were at the end.

    Attributes:
        title: "all layers", "layer 3", "kernel sizes".
        rows: the names of operations or sizes.
        columns: positions or layers.
        probabilities: [row][column], None where no candidate had the choice; each column adds up to 1.
        counts: [row][column], how many candidates had it there; empty where unknown.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    probabilities: tuple[tuple[float | None, ...], ...]
    counts: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Fidelity:
    """Search score against score after full training, on one task: `points` are (name, search, full)."""

    task: str
    points: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Gate:
    """The signal gate: standard deviations of the score between architectures, and between seeds of one."""

    architectures: int
    seeds: int
    between_architectures: float
    between_seeds: float
    passed: bool


@dataclass(frozen=True)
class Ledger:
    """What the search cost.

    Attributes:
        device: "CPU" or "GPU", or a longer name of it that ends so.
        sharing: whether candidates started from shared weights.
        parts: seconds of a device by part of the work: "train", "score", ...
        scratch_seconds: of a device, for one candidate trained from scratch as far as sharing takes it; None if not
            measured.
        scratch_note: where that number comes from.
        again: seconds of a device spent on scoring parents and anchors again.
    """

    device: str = "CPU"
    sharing: bool = False
    parts: dict[str, float] = field(default_factory=dict)
    scratch_seconds: float | None = None
    scratch_note: str = ""
    again: float = 0.0


@dataclass(frozen=True)
class Winner:
    """The best candidate.

    Attributes:
        number: of its trial.
        genome: its `.abz` text.
        command: the command line that trains it in full.
        parameters: of the model, 0 where unknown.
    """

    number: int
    genome: str
    command: str
    parameters: int = 0


@dataclass(frozen=True)
class ReportData:
    """A search, told in numbers.

    Attributes:
        name: of the study.
        state: "finished", or what else it is: "running", "interrupted".
        strategy, proxy: in words.
        started: a date for people, as ISO text.
        seconds: wall-clock time of the search.
        workers: how many there were.
        objectives: at least one.
        candidates: by number.
        proposed: draws in all: evaluated, duplicates and rejected.
        duplicates: draws that were a candidate seen before.
        rejections: other draws thrown away, by reason.
        configuration: the TOML it ran with.
        facts: further lines for the end of the page: version, machine, threads.
    """

    name: str
    objectives: tuple[Objective, ...]
    candidates: tuple[Candidate, ...] = ()
    state: str = "finished"
    strategy: str = ""
    proxy: str = ""
    started: str = ""
    seconds: float = 0.0
    workers: int = 1
    proposed: int = 0
    duplicates: int = 0
    rejections: dict[str, int] = field(default_factory=dict)
    priorities: tuple[PriorityMap, ...] = ()
    fidelity: tuple[Fidelity, ...] = ()
    last_stage: LastStage | None = None
    gate: Gate | None = None
    ledger: Ledger | None = None
    winner: Winner | None = None
    configuration: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def complete(self) -> list[Candidate]:
        """The candidates that were evaluated to the end."""
        return [candidate for candidate in self.candidates if candidate.state == "complete" and candidate.values]

    def by_number(self) -> dict[int, Candidate]:
        return {candidate.number: candidate for candidate in self.candidates}

    def to_json(self) -> str:
        """The data as JSON text; `from_json` reads it back."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> ReportData:
        """Read `to_json`. Raises `ValueError` where the text is something else."""
        try:
            data: ReportData = _read(ReportData, json.loads(text))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not the data of a report: {error}") from error
        return data


def _read(kind: Any, value: Any) -> Any:
    """JSON's value as a type: dataclasses, tuples, dicts and optional values of them."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        unknown = value.keys() - {each.name for each in fields(kind)}
        if unknown:
            raise KeyError(f"unknown field {min(unknown)}")
        return kind(**{name: _read(hints[name], part) for name, part in value.items()})  # type: ignore[operator]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(arguments[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_read(each, part) for each, part in zip(kinds, value, strict=True))
    if origin is dict:
        return {key: _read(arguments[1], part) for key, part in value.items()}
    return float(value) if kind is float else value
