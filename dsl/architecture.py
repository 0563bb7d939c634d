"""A checked architecture: sizes, and layers from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby

from autobertc.dsl.graph import Program, print_roots

KERNEL_SIZES = (3, 5, 7, 9, 15, 31, 65)
MAX_REPEAT = 1024
MAX_LAYERS = 10_000


@dataclass(frozen=True)
class Sizes:
    """The header of a file. Rates are probabilities; the other numbers count units."""

    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    vocab: int = 30522
    max_length: int = 512
    embedding: int | None = None
    types: int = 2
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    kernel_dropout: float = 0.1

    @property
    def head_dim(self) -> int:
        """D, the width of one head."""
        return self.hidden // self.heads


@dataclass(frozen=True)
class AttentionLayer:
    program: Program


@dataclass(frozen=True)
class ConvolutionLayer:
    kernel: int


Layer = AttentionLayer | ConvolutionLayer


@dataclass(frozen=True)
class Architecture:
    """What an `.abz` file means. Layers that `repeat` makes are one object many times; they share no weights."""

    name: str
    sizes: Sizes
    layers: tuple[Layer, ...]

    def programs(self) -> Iterator[Program]:
        """Each distinct program, in order of its first layer."""
        seen = set()
        for layer in self.layers:
            if isinstance(layer, AttentionLayer) and layer.program.root not in seen:
                seen.add(layer.program.root)
                yield layer.program

    def map_programs(self, change: dict[Program, Program]) -> Architecture:
        """The same layers with programs exchanged."""
        by_root = {old.root: new for old, new in change.items()}
        layers = tuple(
            AttentionLayer(by_root[layer.program.root]) if isinstance(layer, AttentionLayer) else layer
            for layer in self.layers
        )
        return replace(self, layers=layers)

    def digest(self) -> str:
        """A hash of everything above but the name."""
        return blake2b(print_architecture(self, "_").encode(), digest_size=16).hexdigest()


def safe_name(name: str) -> str:
    """A name from anywhere, a file's stem for one, as one that a header can hold and no comment or path trips over."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:100].lstrip(".-") or "model"


def print_header(name: str, sizes: Sizes) -> str:
    """The header that reads back to these sizes."""
    lines = [f"model {safe_name(name)} {{"]
    for key in ("hidden", "heads", "intermediate", "vocab", "max_length", "embedding", "types"):
        value = getattr(sizes, key)
        if value is not None:
            lines.append(f"  {key}: {value}")
    if sizes.hidden_dropout == sizes.attention_dropout == sizes.kernel_dropout:
        lines.append(f"  dropout: {sizes.hidden_dropout!r}")
    else:
        for key in ("hidden_dropout", "attention_dropout", "kernel_dropout"):
            lines.append(f"  {key}: {getattr(sizes, key)!r}")
    return "\n".join([*lines, "}", ""])


def print_architecture(architecture: Architecture, name: str | None = None) -> str:
    """The graph as an `.abz` text: a full header, sharing as lets, runs of equal layers as `repeat`.

    `name` replaces the architecture's own.
    """
    roots = [layer.program.root for layer in architecture.layers if isinstance(layer, AttentionLayer)]
    lets, expressions = print_roots(roots)
    remaining = iter(expressions)
    lines = [
        f"att: {next(remaining)}" if isinstance(layer, AttentionLayer) else f"conv: {layer.kernel}"
        for layer in architecture.layers
    ]
    blocks = [print_header(name or architecture.name, architecture.sizes)]
    if lets:
        blocks.append("".join(f"let {name} = {value}\n" for name, value in lets))
    blocks.append("".join(_print_run(line, len(list(run))) for line, run in groupby(lines)))
    return "\n".join(blocks)


def _print_run(line: str, count: int) -> str:
    """Equal lines one behind the other, as one `repeat` where that is shorter."""
    if count == 1:
        return f"{line}\n"
    full, rest = divmod(count, MAX_REPEAT)
    counts = [MAX_REPEAT] * full + [rest] * (rest > 0)
    return "".join(f"repeat {number} {{\n  {line}\n}}\n" for number in counts)
