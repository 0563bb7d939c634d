"""A table as a space that strategies search: every proposal is a genome of the table.

The strategies are the real ones, with the table's genomes for candidates. Their draws are the space's, on condition
that what comes out is in the table, which is what redrawing until a child is there would give: of an edit's kind,
place, operation and operands, each with its chance, the priorities' among them, those count that lead to a program of
the table (`programs.Move`). Where a table is closed nothing else is different from a search of the space whose programs
are the table's; where it is not, a genome outside is drawn again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer
from autobertc.search.genome import Genome
from autobertc.search.positions import positions
from autobertc.search.strategies.domain import Draws, Edited, SeenGenomes
from autobertc.search.strategies.priorities import Priorities, Traits
from autobertc.search.tabular.programs import Move
from autobertc.search.tabular.table import Choices, Table

Site = tuple[int, tuple[int, ...]]
"""A position, and the operations that can come there, as indices."""

Weighed = tuple[list[float], list[tuple[str, int, float | None]]]
"""Moves with running sums of their chances: kind of edit, program that it makes, probability of the operation drawn."""


class TableSpace:
    """A `Domain`: the genomes of a table.

    Attributes:
        table: the table.
        row: the row of each genome, by number.
    """

    def __init__(self, table: Table) -> None:
        header = table.header
        self.table = table
        self.operations = header.recipe.read_space().ops
        self.kernels: Sequence[int] = header.kernels
        self.choices = header.choices
        self.programs = len(header.programs)
        self.genomes = [header.genome(row.layers) for row in table.rows]
        self.row = {genome: number for number, genome in enumerate(self.genomes)}
        self._by_layers = {row.layers: genome for row, genome in zip(table.rows, self.genomes, strict=True)}
        operation = {name: index for index, name in enumerate(self.operations)}
        self._traits = [
            tuple(operation[node.op.name] for node in positions(layer.program))
            if isinstance(layer, AttentionLayer)
            else header.kernels.index(layer.kernel)
            for layer in header.choices
        ]
        self._moves = [_by_site(own, operation) for own in header.moves]
        self._kept_for: Priorities | None = None
        self._kept: dict[tuple[int, int], Weighed] = {}

    def layers(self, genome: Genome) -> Choices:
        """The choices of a genome."""
        return self.table.rows[self.row[genome]].layers

    def random(self, rng: np.random.Generator) -> Genome:
        """Attention or convolution with equal chance in each layer, then a program or a kernel."""
        while True:
            layers = tuple(self._layer(rng) for _ in self.table.rows[0].layers)
            if layers in self._by_layers:
                return self._by_layers[layers]

    def _layer(self, rng: np.random.Generator) -> int:
        if self.kernels and rng.random() < 0.5:
            return self.programs + int(rng.integers(len(self.kernels)))
        return int(rng.integers(self.programs))

    def traits(self, genome: Genome) -> Traits:
        return tuple(self._traits[choice] for choice in self.layers(genome))

    def edit_layer(self, genome: Genome, draws: Draws) -> Edited | None:
        if not self.kernels:
            return None
        layers = self.layers(genome)
        place = draws.index(len(layers))
        old = layers[place]
        convolution = old >= self.programs
        if convolution and (len(self.kernels) == 1 or draws.index(2)):
            new = draws.index(self.programs)
        else:
            sizes = [size for size in range(len(self.kernels)) if self.programs + size != old]
            new = self.programs + draws.kernel(place, sizes)
        return self._edited(layers, place, new, "kernel" if convolution and new >= self.programs else "turn")

    def edit_program(self, genome: Genome, draws: Draws) -> Edited | None:
        layers = self.layers(genome)
        attention = [place for place, choice in enumerate(layers) if choice < self.programs]
        if not attention:
            return None
        place = attention[draws.index(len(attention))]
        sums, moves = self._weighed(place, layers[place], draws)
        if not moves:
            return None
        kind, target, probability = moves[min(bisect_right(sums, draws.rng.random() * sums[-1]), len(moves) - 1)]
        if draws.priorities is not None and probability is not None:
            draws.probabilities.append(probability)
        return self._edited(layers, place, target, kind)

    def _weighed(self, place: int, program: int, draws: Draws) -> Weighed:
        """The moves of a program in a layer. They are kept while the priorities are the same: for a round."""
        if self._kept_for is not draws.priorities:
            self._kept_for, self._kept = draws.priorities, {}
        if (place, program) in self._kept:
            return self._kept[place, program]
        weights: list[float] = []
        moves: list[tuple[str, int, float | None]] = []
        for (position, legal), own in self._moves[program].items():
            probabilities = dict(zip(legal, draws.of_operations(place, position, legal), strict=True))
            for kind, op, target, share in own:
                probability = None if op is None else probabilities[op]
                weights.append(share * (1.0 if probability is None else probability))
                moves.append((kind, target, probability))
        found = self._kept[place, program] = list(accumulate(weights)), moves
        return found

    def _edited(self, layers: Choices, place: int, new: int, kind: str) -> Edited | None:
        edited = (*layers[:place], new, *layers[place + 1 :])
        genome = self._by_layers.get(edited)
        if genome is None:
            return None
        return Edited(genome, f"layer {place + 1}: {kind}: {self._text(layers[place])} -> {self._text(new)}")

    def _text(self, choice: int) -> str:
        layer = self.choices[choice]
        return f"conv: {layer.kernel}" if isinstance(layer, ConvolutionLayer) else f"program {choice}"

    def seen(self, genomes: Iterable[Genome]) -> SeenGenomes:
        """Genomes of a table differ in function. One that is not of the table counts as seen."""
        return SeenGenomes(set(genomes), self.row)


def _by_site(moves: Sequence[Move], operation: dict[str, int]) -> dict[Site, list[tuple[str, int | None, int, float]]]:
    """(kind, operation, target, share) of each move, by site."""
    sites: dict[Site, list[tuple[str, int | None, int, float]]] = defaultdict(list)
    for move in moves:
        legal = tuple(operation[name] for name in move.legal)
        op = None if move.op is None else operation[move.op]
        sites[move.position, legal].append((move.kind, op, move.target, move.share))
    return dict(sites)
