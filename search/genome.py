"""A genome: the layers of a backbone, as a search edits and compares them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from autobertc.dsl import parse
from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Layer, Sizes, print_architecture
from autobertc.dsl.graph import Node, Program


@dataclass(frozen=True, eq=False)
class Genome:
    """Layers from top to bottom, programs as they were written: source operations, hash-consed, not canonicalised.

    Two genomes are equal where their layers are: kind by kind, kernel sizes, programs by their graph.
    """

    layers: tuple[Layer, ...]

    @cached_property
    def key(self) -> tuple[int | Node, ...]:
        """A layer's kernel size, or the root of its program."""
        return tuple(
            layer.kernel if isinstance(layer, ConvolutionLayer) else layer.program.root for layer in self.layers
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genome) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __len__(self) -> int:
        return len(self.layers)

    def programs(self) -> Iterator[tuple[int, Program]]:
        """The attention layers: the number of each, from 0, and its program."""
        for index, layer in enumerate(self.layers):
            if isinstance(layer, AttentionLayer):
                yield index, layer.program

    def with_layer(self, index: int, layer: Layer) -> Genome:
        """The genome with one layer exchanged."""
        return Genome((*self.layers[:index], layer, *self.layers[index + 1 :]))

    def architecture(self, sizes: Sizes, name: str = "candidate") -> Architecture:
        """What the compiler takes."""
        return Architecture(name, sizes, self.layers)

    def text(self, sizes: Sizes, name: str = "candidate") -> str:
        """The genome as an `.abz` file of these sizes."""
        return print_architecture(self.architecture(sizes, name))

    @staticmethod
    def read(text: str) -> Genome:
        """The genome of an `.abz` text. Raises `AbzError`."""
        return Genome(parse(text).layers)
