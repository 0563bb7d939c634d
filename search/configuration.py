"""A search's configuration: one TOML file, over a preset, under what a command line sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.sections import (
    GateSection,
    LastStageSection,
    Model,
    StrategySection,
    StudySection,
    SupernetSection,
    WorkersSection,
)
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

    def everything(self) -> dict[str, dict[str, Any]]:
        """The same with all that has its default, and None for what is not set: a study keeps it, as defaults may be
        others in another version."""
        sections = {each.name: vars(getattr(self, each.name)) for each in fields(self) if each.name != "space"}
        found: dict[str, dict[str, Any]] = _jsonable({"space": self.space.to_table(), **sections})
        return found

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
    name = preset or own
    base = preset_tables(name) if name else {}
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
    """That a study can go on under a configuration; `stored` is `everything` of the one it was begun with.

    Raises `UserError`, with the first thing that is another.
    """
    before, after = _flat(stored), _flat(now.everything())
    for key in sorted(before, key=lambda key: (not key.startswith("space"), key)):
        if before[key] != after.get(key) and not _FREE.fullmatch(key):
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
    return "not set" if value is None else repr(value)
