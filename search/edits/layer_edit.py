"""Edits of a genome: one layer becomes another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer, Layer
from autobertc.dsl.source import shorten
from autobertc.search.edits.program_edit import MAX_SHOWN, ProgramEdit, expression
from autobertc.search.genome import Genome


def layer_text(layer: Layer) -> str:
    """A layer in a few words."""
    if isinstance(layer, ConvolutionLayer):
        return f"conv: {layer.kernel}"
    return f"att: {shorten(expression(layer.program.root), MAX_SHOWN)}"


LayerEditKind = Literal["turn", "kernel"]


@dataclass(frozen=True)
class LayerEdit:
    """A layer turned into one of the other kind ("turn"), or a kernel size changed ("kernel").

    `index` counts layers from 0. The edit fits genomes that have `before` there.
    """

    kind: LayerEditKind
    index: int
    before: Layer
    after: Layer

    def apply(self, genome: Genome) -> Genome | None:
        """The edited genome; None where it does not fit."""
        if self.index >= len(genome) or Genome((genome.layers[self.index],)) != Genome((self.before,)):
            return None
        return genome.with_layer(self.index, self.after)

    def inverse(self, genome: Genome) -> LayerEdit:
        """The edit that leads back to the genome."""
        return LayerEdit(self.kind, self.index, self.after, self.before)

    def describe(self) -> str:
        """One line; layers count from 1."""
        return f"layer {self.index + 1}: {self.kind}: {layer_text(self.before)} -> {layer_text(self.after)}"

    __str__ = describe


@dataclass(frozen=True)
class InLayer:
    """An edit of the program of one layer, which counts from 0."""

    index: int
    edit: ProgramEdit

    def apply(self, genome: Genome) -> Genome | None:
        """The edited genome; None where it does not fit."""
        layer = genome.layers[self.index] if self.index < len(genome) else None
        if not isinstance(layer, AttentionLayer):
            return None
        program = self.edit.apply(layer.program)
        return None if program is None else genome.with_layer(self.index, AttentionLayer(program))

    def inverse(self, genome: Genome) -> InLayer:
        """The edit that leads back to the genome. Raises `ValueError` where this one does not fit it."""
        layer = genome.layers[self.index] if self.index < len(genome) else None
        if not isinstance(layer, AttentionLayer):
            raise ValueError(f"{self} does not fit the genome")
        return InLayer(self.index, self.edit.inverse(layer.program))

    def describe(self) -> str:
        """One line; layers count from 1."""
        return f"layer {self.index + 1}: {self.edit.describe()}"

    __str__ = describe


Edit = LayerEdit | InLayer
