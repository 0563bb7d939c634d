"""The Jinja2 templates of generated files."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from textwrap import wrap

from jinja2 import Environment, PackageLoader, StrictUndefined

WIDTH = 120


def folded(line: str, indent: int) -> list[str]:
    """A statement of the form `x = ...`, or an expression, on lines of `WIDTH` columns when indented so far."""
    if len(line) + indent <= WIDTH:
        return [line]
    lead, opening, rest = line.partition("(")
    if not lead.replace(" ", "").replace("=", "").replace(".", "").isidentifier() or not rest.endswith(")"):
        target, _, rest = line.partition(" = ")
        lead, opening, rest = f"{target} = ", "(", f"{rest})"
    inner = wrap(rest[:-1], WIDTH - indent - 4, break_long_words=False, break_on_hyphens=False)
    return [f"{lead}{opening}", *(f"    {part}" for part in inner), ")"]


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
