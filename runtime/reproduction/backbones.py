"""The published backbones, as files of examples/, and at the size of a scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from typing import Literal

from autobertc.dsl.architecture import Architecture
from autobertc.dsl.checker import load
from autobertc.dsl.errors import UserError

Size = Literal["small", "base", "large"]


@dataclass(frozen=True)
class Widths:
    """The sizes of a model that is smaller than the paper's; its layers stay.

    `embedding` is for backbones that have narrow embeddings.
    """

    hidden: int
    heads: int
    intermediate: int
    vocab: int
    max_length: int
    embedding: int


@cache
def example(name: str) -> Architecture:
    """A backbone of examples/. Raises `UserError` where the files are not there."""
    with as_file(files("autobertc") / "examples" / f"{name}.abz") as path:
        if not path.is_file():
            raise UserError(f"cannot find {path}: this installation has no examples")
        return load(path).architecture


def size_of(architecture: Architecture) -> Size:
    """Which of the paper's three sizes a published backbone has."""
    sizes: dict[int, Size] = {256: "small", 768: "base", 1024: "large"}
    return sizes[architecture.sizes.hidden]


def fitted(name: str, widths: Widths | None) -> Architecture:
    """A backbone of examples/, narrowed; as it stands where `widths` is None."""
    architecture = example(name)
    if widths is None:
        return architecture
    sizes = replace(
        architecture.sizes,
        hidden=widths.hidden,
        heads=widths.heads,
        intermediate=widths.intermediate,
        vocab=widths.vocab,
        max_length=widths.max_length,
        embedding=None if architecture.sizes.embedding is None else widths.embedding,
    )
    return replace(architecture, sizes=sizes)
