"""The Jinja2 templates of generated files."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from textwrap import wrap

from jinja2 import Environment, PackageLoader, StrictUndefined

WIDTH = 120
_ASSIGNMENT = re.compile(r"([\w, ]+ \+?= )?(.*)")


def folded(line: str, indent: int) -> list[str]:
    """An expression, or a statement of the form `x = ...` or `x += ...`, on lines of `WIDTH` columns with an indent."""
    if len(line) + indent <= WIDTH:
        return [line]
    lead, value = _ASSIGNMENT.fullmatch(line).groups(default="")  # type: ignore[union-attr]
    name, _, arguments = value.partition("(")
    if _is_call(value):
        lead, value = lead + name, arguments[:-1]
    inner = wrap(value, WIDTH - indent - 4, break_long_words=False, break_on_hyphens=False)
    return [f"{lead}(", *(f"    {part}" for part in inner), ")"]


def _is_call(text: str) -> bool:
    """Whether the last parenthesis closes the first, and only a name stands before it."""
    depths = list(accumulate((letter == "(") - (letter == ")") for letter in text))
    opening = text.find("(")
    return text[:opening].replace(".", "").isidentifier() and 0 not in depths[opening:-1] and text.endswith(")")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("autobertc.compiler", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, **values: object) -> str:
    """The text of a template. `version` is this package's."""
    return _environment().get_template(template).render(version=version("autobertc"), **values)
