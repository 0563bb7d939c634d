"""A planted problem: a search space with a known answer, to see whether priorities help, without training anything.

A genome has layers of attention, each a chain of operations on Q, one a position. A plant says which operation is
right at each position. The score of a genome is how many are right, plus noise. A search is done when it has
evaluated a candidate that has, noise apart, the target part of them right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.graph import Node, Program, make_node, post_order
from autobertc.search.genome import Genome
from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Record, Strategy
from autobertc.search.strategies.domain import Draws, Edited, SeenGenomes

# Every operation of one operand that keeps [N,D] as it is: any chain of them is legal.
OPERATIONS = ("exp", "logsigmoid", "neg", "relu", "scale", "sigmoid", "softmax", "softsign", "square", "tanh")

Choices = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Planted:
    """The problem; a `Domain`.

    Two genomes are the same here where their chains are: operations are names, what they compute plays no part.

    Attributes:
        seed: of the plant and of the noise.
        same: whether every layer has the same plant.
        noise: standard deviation, in operations.
        target: the part of the positions to get right.
        unit: what one right operation adds to the score.
    """

    seed: int
    same: bool = True
    layers: int = 4
    positions: int = 6
    noise: float = 0.5
    target: float = 0.8
    unit: float = 1.0

    operations = OPERATIONS
    kernels: tuple[int, ...] = ()

    @cached_property
    def plant(self) -> Choices:
        """The right operation, by layer and position."""
        rng = generator(self.seed, "plant")
        drawn = rng.integers(len(OPERATIONS), size=(self.layers, self.positions))
        return tuple(tuple(int(i) for i in drawn[0 if self.same else layer]) for layer in range(self.layers))

    def right(self, genome: Genome) -> int:
        """How many operations are the plant's."""
        return sum(
            choice == planted
            for layer, plant in zip(self.traits(genome), self.plant, strict=True)
            for choice, planted in zip(layer, plant, strict=True)
        )

    @property
    def enough(self) -> float:
        """How many are to be right."""
        return self.target * self.layers * self.positions

    def score(self, genome: Genome, number: int) -> float:
        """A noisy evaluation; the noise is the trial's."""
        noise = generator(self.seed, number, "noise").normal(scale=self.noise)
        return float(self.unit * (self.right(genome) + noise))

    def random(self, rng: np.random.Generator) -> Genome:
        drawn = rng.integers(len(OPERATIONS), size=(self.layers, self.positions))
        return Genome(tuple(_chain(tuple(int(i) for i in layer)) for layer in drawn))

    def traits(self, genome: Genome) -> Choices:
        return tuple(_choices(program.root) for _, program in genome.programs())

    def edit_layer(self, genome: Genome, draws: Draws) -> Edited | None:
        """There are no convolutions here."""
        return None

    def edit_program(self, genome: Genome, draws: Draws) -> Edited | None:
        """Another operation at one position."""
        layer = draws.index(self.layers)
        position = draws.index(self.positions)
        layers = self.traits(genome)
        old = layers[layer]
        legal = [choice for choice in range(len(OPERATIONS)) if choice != old[position]]
        new = draws.operation(layer, position, legal)
        chain = _chain((*old[:position], new, *old[position + 1 :]))
        words = f"layer {layer + 1}: {OPERATIONS[old[position]]} becomes {OPERATIONS[new]} at position {position + 1}"
        return Edited(genome.with_layer(layer, chain), words)

    def seen(self, genomes: Iterable[Genome]) -> SeenGenomes:
        return SeenGenomes(set(genomes))


@lru_cache(maxsize=20_000)
def _chain(choices: tuple[int, ...]) -> AttentionLayer:
    """The layer that applies the operations in order."""
    node = make_node("Q")
    for choice in choices:
        node = make_node(OPERATIONS[choice], node)
    return AttentionLayer(Program(node))


@lru_cache(maxsize=20_000)
def _choices(root: Node) -> tuple[int, ...]:
    return tuple(OPERATIONS.index(node.op.name) for node in post_order(root) if node.operands)


def candidates_needed(problem: Planted, strategy: Strategy, limit: int, round_size: int = 25) -> int | None:
    """How many candidates a search evaluates up to the first that has enough right; None where `limit` are too few."""
    records: list[Record] = []
    for round in range(limit // round_size):
        for slot, proposal in enumerate(strategy.propose(History(records), round, round_size)):
            number = len(records)
            score = problem.score(proposal.genome, number)
            records.append(Record(number, round, slot, proposal.genome, (score,), proposal.parents))
            if problem.right(proposal.genome) >= problem.enough:
                return number + 1
    return None
