"""The language: source text, tree, types, primitives, graph and checker. Imports no torch."""

from pathlib import Path

from autobertc.dsl.architecture import Architecture
from autobertc.dsl.source import AbzError

__all__ = ["AbzError", "Architecture", "load", "parse"]


def parse(text: str, name: str = "<text>") -> Architecture:
    """The architecture a text describes. Raises `AbzError` with every error found."""
    from autobertc.dsl.checker import check
    from autobertc.dsl.parser import parse_tree
    from autobertc.dsl.source import Source

    return check(parse_tree(Source(name, text))).architecture


def load(path: str | Path) -> Architecture:
    """The architecture of an `.abz` file. Raises `AbzError` with every error found."""
    from autobertc.dsl.checker import load as load_checked

    return load_checked(path).architecture
