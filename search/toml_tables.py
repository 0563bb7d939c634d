"""TOML tables as frozen dataclasses: keys and types are checked, and a mistake is told with its line."""

from __future__ import annotations

import math
import re
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from autobertc.dsl.errors import UserError
from autobertc.dsl.source import did_you_mean

Section = TypeVar("Section")


@dataclass(frozen=True)
class Origin:
    """Where a table was read, for messages. `lines` has the line of each key, by "section.key"."""

    name: str
    lines: Mapping[str, int]

    def at(self, key: str) -> str:
        """ "file:line: key", or as much of it as there is."""
        line = self.lines.get(key) or self.lines.get(key.partition(".")[0])
        return f"{self.name}:{line}: {key}" if line else f"{self.name}: {key}" if self.name else key


_HEADER = re.compile(r"\s*\[\s*([\w.\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([\w\"'-]+(?:\.[\w\"'-]+)*)\s*=")


def read_toml(text: str, name: str) -> tuple[dict[str, Any], Origin]:
    """The tables of a text. Raises `UserError` where it is not TOML."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name}: not TOML: {error}") from error
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            section = _unquoted(header[1])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{section}.{_unquoted(key[1])}".lstrip("."), number)
    return tables, Origin(name, lines)


def _unquoted(key: str) -> str:
    return key.replace('"', "").replace("'", "")


def load_toml(path: Path) -> tuple[dict[str, Any], Origin]:
    """The tables of a file. Raises `UserError`."""
    try:
        return read_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def unknown(key: str, known: Iterable[str], origin: Origin) -> UserError:
    """What to say of a key that nothing knows."""
    prefix, _, last = key.rpartition(".")
    names = list(known)
    guess = did_you_mean(last, names)
    where = f"in [{prefix}]" if prefix else "sections"
    hint = f"did you mean `{guess}`?" if guess else f"known {where}: {', '.join(names)}"
    return UserError(f"{origin.at(key)}: unknown {'key' if prefix else 'section'}; {hint}")


def read_section(kind: type[Section], table: Any, name: str, origin: Origin) -> Section:
    """A section as its dataclass. Raises `UserError` for an unknown key or a value of another type.

    A `ValueError` or `UserError` of the dataclass is told the same way, with the first key that its message has.
    """
    if not isinstance(table, Mapping):
        raise UserError(f"{origin.at(name)}: give a section, [{name}], found {table!r}")
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise unknown(f"{name}.{key}", hints, origin)
    values = {key: _converted(value, hints[key], f"{name}.{key}", origin) for key, value in table.items()}
    try:
        return kind(**values)
    except (ValueError, UserError) as error:
        key = next((word for word in re.findall(r"\w+", str(error)) if word in values), None)
        raise UserError(f"{origin.at(f'{name}.{key}' if key else name)}: {error}") from error


def _converted(value: Any, kind: Any, key: str, origin: Origin) -> Any:
    """A TOML value as a field's type. Raises `UserError`."""
    base, arguments = get_origin(kind), get_args(kind)
    if base in (Union, types.UnionType):
        for each in arguments:
            if each is not type(None):
                try:
                    return _converted(value, each, key, origin)
                except UserError:
                    continue
    elif base is Literal:
        if value in arguments:
            return value
    elif base is tuple:
        if isinstance(value, list | tuple) and (arguments[-1] is Ellipsis or len(arguments) == len(value)):
            kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
            return tuple(_converted(each, one, key, origin) for each, one in zip(value, kinds, strict=True))
    elif base is dict:
        if isinstance(value, Mapping):
            return {name: _converted(each, arguments[1], f"{key}.{name}", origin) for name, each in value.items()}
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif kind is Any or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise UserError(f"{origin.at(key)}: give {_described(kind)}, found {value!r}")


def _described(kind: Any) -> str:
    """A type in words."""
    base, arguments = get_origin(kind), get_args(kind)
    if base in (Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments if each is not type(None))
    if base is Literal:
        return " or ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in arguments)
    if base is tuple:
        count = "" if arguments[-1] is Ellipsis else f"of {len(arguments)} "
        return f"a list {count}({_described(arguments[0])} each)"
    if base is dict:
        return "a table"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(kind, str(kind))


def merge(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables over tables, section by section: later keys replace earlier ones."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            old = merged.get(key)
            merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def setting(text: str) -> dict[str, Any]:
    """`section.key=value` of a command line as a table; a value that is not TOML's is a text. Raises `UserError`."""
    key, equals, value = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and section and name):
        raise UserError(f"--set takes section.key=value, such as study.trials=200, not {text!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {name: parsed}}


def section_table(section: Any) -> dict[str, Any]:
    """A section as a table: what differs from the defaults, ready for TOML and JSON."""
    table: dict[str, Any] = {}
    for each in fields(section):
        value = getattr(section, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if value != default and value is not None:
            table[each.name] = list(value) if isinstance(value, tuple) else value
    return table


def write_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables as TOML: texts, numbers, truth values, lists of them, and one level of tables in a section."""
    lines: list[str] = []
    for name, table in tables.items():
        nested = {key: value for key, value in table.items() if isinstance(value, Mapping)}
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_written(value)}" for key, value in table.items() if key not in nested]
        for key, value in nested.items():
            lines += ["", f"[{name}.{key}]", *(f"{_name(each)} = {_written(one)}" for each, one in value.items())]
    return "\n".join(lines[1:]) + "\n"


def _name(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key) else _written(key)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(each) for each in value)}]"
    return repr(value)
