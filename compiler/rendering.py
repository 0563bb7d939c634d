"""The Jinja2 templates of generated files."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined


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
