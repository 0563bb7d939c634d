"""Crossover: whole layers of two genomes of one length, mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autobertc.search.genome import Genome


@dataclass(frozen=True)
class Crossover:
    """Layers taken over from a second parent.

    Attributes:
        other: the second parent.
        indices: the layers that come from it, from 0.
    """

    other: Genome
    indices: tuple[int, ...]

    def apply(self, genome: Genome) -> Genome | None:
        """The child; None where the parents have different lengths."""
        if len(genome) != len(self.other):
            return None
        taken = set(self.indices)
        pairs = zip(genome.layers, self.other.layers, strict=True)
        return Genome(tuple(theirs if index in taken else ours for index, (ours, theirs) in enumerate(pairs)))

    def inverse(self, genome: Genome) -> Crossover:
        """The crossover that leads from the child back to the genome: the same layers, taken from it."""
        return Crossover(genome, self.indices)

    def describe(self) -> str:
        """One line; layers count from 1."""
        return f"layers {ranges([index + 1 for index in self.indices])} from the second parent"

    __str__ = describe


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: 1-3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def draw_crossover(genome: Genome, other: Genome, rng: np.random.Generator) -> Crossover | None:
    """Each layer from either parent with equal chance, at least one differing layer from each.

    None where fewer than two layers differ, as the child could only equal a parent. Two genomes of a space give one of
    the space: layers are legal by themselves.
    """
    if len(genome) != len(other):
        return None
    differing = [index for index in range(len(genome)) if genome.key[index] != other.key[index]]
    if len(differing) < 2:
        return None
    while True:
        taken = tuple(index for index in differing if rng.random() < 0.5)
        if 0 < len(taken) < len(differing):
            return Crossover(other, taken)
