"""A search's configuration: one TOML file, over a preset, under what a command line sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from autobertc.dsl.architecture import Sizes
from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.space import Space
from autobertc.search.strategies.registry import combination
from autobertc.search.toml_tables import (
    Origin,
    load_toml,
    merge,
    read_section,
    read_toml,
    section_table,
    setting,
    unknown,
    write_toml,
)

PRESETS = ("tiny", "small", "paper")


@dataclass(frozen=True)
class Model:
    """The sizes that candidates are built at; the header of their files."""

    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    vocab: int = 30522
    max_length: int = 512
    embedding: int | None = None
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "intermediate", "vocab", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden is a multiple of heads: {self.hidden} is none of {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is from 0 to below 1, not {self.dropout}")

    @property
    def sizes(self) -> Sizes:
        """As a header has them."""
        rate = self.dropout
        return Sizes(
            self.hidden,
            self.heads,
            self.intermediate,
            self.vocab,
            self.max_length,
            self.embedding,
            hidden_dropout=rate,
            attention_dropout=rate,
            kernel_dropout=rate,
        )


@dataclass(frozen=True)
class StrategySection:
    """How the search proposes.

    Attributes:
        name: of `strategies.registry`.
        population: random candidates before the first children, in `initial_rounds` rounds.
        parents, children: the best K have so many children each, a round.
        redraws: duplicates drawn before a random candidate stands in.
        both: an inter-layer edit in every child.
        crossover: the part of children that mix two parents' layers.
        named: architectures to start from, by name or as files.
        alive, tournament: of aging evolution.
        alpha, tau, contrast, shrinkage: of operation priority, in the place of the preset's.
    """

    name: str = "op-nas"
    population: int = 100
    initial_rounds: int = 4
    parents: int = 5
    children: int = 5
    redraws: int = 50
    both: bool = False
    crossover: float = 0.0
    named: tuple[str, ...] = ()
    alive: int = 100
    tournament: int = 25
    alpha: float | None = None
    tau: float | None = None
    contrast: float | None = None
    shrinkage: float | None = None

    def __post_init__(self) -> None:
        combination(self.name)
        for name in ("population", "initial_rounds", "parents", "children", "alive", "tournament"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.redraws < 0:
            raise ValueError(f"redraws is at least 0, not {self.redraws}")
        if not 0 <= self.crossover <= 1:
            raise ValueError(f"crossover is from 0 to 1, not {self.crossover}")
        if self.initial_rounds > self.population:
            raise ValueError(f"initial_rounds is at most the population, {self.population}")


@dataclass(frozen=True)
class SupernetSection:
    """Weight sharing.

    Attributes:
        sharing: whether candidates start from shared weights; by default as the strategy has it.
        feed_forward, norms: whether they belong to the layer or to the branch.
        write_back: each tensor from the best child that used it, or the mean of all that did.
    """

    sharing: bool | None = None
    feed_forward: Literal["layer", "branch"] = "layer"
    norms: Literal["layer", "branch"] = "layer"
    write_back: Literal["best", "mean"] = "best"


@dataclass(frozen=True)
class StudySection:
    """The study.

    Attributes:
        name: within its storage.
        storage: an Optuna storage's URL; empty is a SQLite file in the run's folder.
        seed: of everything random.
        trials: the budget of candidates.
        hours: of wall-clock time, after which no round begins; 0 is without end.
        patience: rounds without a change among the best K after which it ends; 0 is never.
        anchor: what every round scores beside its candidates, a named architecture or a file.
    """

    name: str = "search"
    storage: str = ""
    seed: int = 0
    trials: int = 760
    hours: float = 0.0
    patience: int = 0
    anchor: str = "bert"

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials is at least 1, not {self.trials}")
        for name in ("hours", "patience", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class GateSection:
    """The signal gate before the search: architectures by seeds."""

    enabled: bool = True
    architectures: int = 4
    seeds: int = 3

    def __post_init__(self) -> None:
        if self.architectures < 3:
            raise ValueError(f"architectures is at least 3, not {self.architectures}")
        if self.seeds < 2:
            raise ValueError(f"seeds is at least 2, not {self.seeds}")


@dataclass(frozen=True)
class LastStageSection:
    """Training from scratch at the end.

    Attributes:
        top: how many of the best; 0 leaves the last stage out.
        seeds: of each.
        steps: of BERT, whose FLOPs all have; 0 is as many as the evaluation's.
        random: whether the best random candidate, and that at the median of the random ones, take part.
        named: which named architectures do.
    """

    top: int = 5
    seeds: int = 3
    steps: int = 0
    random: bool = True
    named: tuple[str, ...] = ("bert",)

    def __post_init__(self) -> None:
        if min(self.top, self.steps) < 0:
            raise ValueError("top and steps are at least 0")
        if self.seeds < 1:
            raise ValueError(f"seeds is at least 1, not {self.seeds}")


@dataclass(frozen=True)
class WorkersSection:
    """Who evaluates; see `study.workers.WorkerSettings`."""

    kind: Literal["in-process", "processes", "ray"] = "processes"
    count: int = 1
    threads: int = 1
    limit: float = 0.0
    address: str = ""
    gpus: float = 0.0
    retries: int = 2

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, not {self.threads}")
        for name in ("count", "limit", "gpus", "retries"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class Configuration:
    """All of it."""

    space: Space = field(default_factory=Space)
    model: Model = field(default_factory=Model)
    strategy: StrategySection = field(default_factory=StrategySection)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    supernet: SupernetSection = field(default_factory=SupernetSection)
    study: StudySection = field(default_factory=StudySection)
    gate: GateSection = field(default_factory=GateSection)
    last_stage: LastStageSection = field(default_factory=LastStageSection)
    workers: WorkersSection = field(default_factory=WorkersSection)

    @property
    def sharing(self) -> bool:
        """Whether candidates start from shared weights."""
        chosen = self.supernet.sharing
        return combination(self.strategy.name).sharing if chosen is None else chosen

    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables that read back to it: what differs from the defaults, and the whole space."""
        tables = {each.name: section_table(getattr(self, each.name)) for each in fields(self) if each.name != "space"}
        return {"space": self.space.to_table(), **{name: table for name, table in tables.items() if table}}

    def text(self) -> str:
        """The configuration as TOML."""
        return write_toml(self.tables())


_SECTIONS: dict[str, type[Any]] = {
    "model": Model,
    "strategy": StrategySection,
    "evaluation": EvaluationSettings,
    "supernet": SupernetSection,
    "study": StudySection,
    "gate": GateSection,
    "last_stage": LastStageSection,
    "workers": WorkersSection,
}


def preset_tables(name: str) -> dict[str, Any]:
    """A preset's tables. Raises `UserError` where there is none of that name."""
    if name not in PRESETS:
        raise UserError(f"no preset is called {name!r}; the presets are {', '.join(PRESETS)}")
    text = files("autobertc.search").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    return read_toml(text, f"preset {name}")[0]


def load_configuration(
    path: Path | None = None, preset: str | None = None, settings: Sequence[str] = ()
) -> Configuration:
    """The configuration of a file, over a preset, under settings such as "study.trials=200".

    The file may name its preset: `preset = "tiny"`. Raises `UserError` for anything unknown, of the wrong type, or
    impossible.
    """
    tables, origin = load_toml(path) if path is not None else ({}, Origin("", {}))
    own = tables.pop("preset", None)
    if own is not None and not isinstance(own, str):
        raise UserError(f"{origin.at('preset')}: give the name of a preset, found {own!r}")
    chosen = preset or own
    base = preset_tables(chosen) if chosen else {}
    overrides = [setting(text) for text in settings]
    changed = {f"{section}.{key}" for table in overrides for section, keys in table.items() for key in keys}
    lines = {key: line for key, line in origin.lines.items() if key not in changed}
    return read_configuration(merge(base, tables, *overrides), Origin(origin.name, lines))


def read_configuration(tables: Mapping[str, Any], origin: Origin) -> Configuration:
    """A configuration of tables. Raises `UserError`."""
    for name in tables:
        if name != "space" and name not in _SECTIONS:
            raise unknown(name, ("space", *_SECTIONS), origin)
    sections = {name: read_section(kind, tables.get(name, {}), name, origin) for name, kind in _SECTIONS.items()}
    configuration = Configuration(space=_space(tables.get("space", {}), origin), **sections)
    _check(configuration)
    return configuration


def _space(table: Any, origin: Origin) -> Space:
    if not isinstance(table, Mapping):
        raise UserError(f"{origin.at('space')}: give a section, [space], found {table!r}")
    try:
        return Space.from_table(table)
    except UserError as error:
        key, colon, rest = str(error).partition(":")
        if not (colon and re.fullmatch(r"space\.[\w.]+", key)):
            raise
        raise UserError(f"{origin.at(key)}:{rest}") from error


def _check(configuration: Configuration) -> None:
    """What no section can see by itself."""
    configuration.evaluation.check(configuration.model.sizes)


# What may change between a study's beginning and its continuation.
_FREE = re.compile(r"study\.(trials|hours|patience|storage)|workers\.(?!threads$)\w+|gate\.\w+|last_stage\.\w+")


def check_same(stored: Mapping[str, Any], now: Configuration) -> None:
    """That a study can go on under a configuration. Raises `UserError`, with the first thing that is another."""
    before, after = _flat(stored), _flat(_jsonable(now.tables()))
    for key in sorted({*before, *after}, key=lambda key: (not key.startswith("space"), key)):
        if before.get(key) != after.get(key) and not _FREE.fullmatch(key):
            what = "searches another space" if key.startswith("space.") else "was begun otherwise"
            raise UserError(
                f"this study {what}: {key} is {_shown(before.get(key))} there and {_shown(after.get(key))} here. "
                "Leave it as it was, or begin another study"
            )


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, table in tables.items() for key, value in table.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(each) for key, each in value.items()}
    return [_jsonable(each) for each in value] if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    return "the default" if value is None else repr(value)
