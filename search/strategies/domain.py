"""What a strategy needs of a space of genomes, and the draws that it makes there.

The strategies search over any space that answers this: the genomes of a `Space`, a planted problem, a table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import numpy as np

from autobertc.search.genome import Genome
from autobertc.search.strategies.priorities import Priorities, Traits


@dataclass
class Draws:
    """The random choices of one child: uniform, or by priority where there are priorities.

    Attributes:
        probabilities: of the draws made by priority, in order.
        rejected: edits that were drawn and found illegal.
    """

    rng: np.random.Generator
    priorities: Priorities | None = None
    probabilities: list[float] = field(default_factory=list)
    rejected: int = 0

    def index(self, count: int) -> int:
        """One of `count`, uniformly."""
        return int(self.rng.integers(count))

    def operation(self, layer: int, position: int, legal: Sequence[int]) -> int:
        """One of the operations (indices into the space's list) that are legal at a position of a layer."""
        if self.priorities is None:
            return legal[self.index(len(legal))]
        return self._by(self.priorities.operation(layer, position, legal), legal)

    def of_operations(self, layer: int, position: int, legal: Sequence[int]) -> Sequence[float]:
        """The probability of each of these operations at a position of a layer."""
        if self.priorities is None or not legal:
            return [1 / len(legal)] * len(legal) if legal else []
        return self.priorities.operation(layer, position, legal)

    def kernel(self, layer: int, legal: Sequence[int]) -> int:
        """One of the kernel sizes (indices into the space's list) that a layer may have."""
        if self.priorities is None:
            return legal[self.index(len(legal))]
        return self._by(self.priorities.kernel(layer, legal), legal)

    def _by(self, probabilities: Sequence[float], legal: Sequence[int]) -> int:
        # What rounding leaves above the last sum is the last choice's.
        point = min(bisect_right(list(accumulate(probabilities)), self.rng.random()), len(legal) - 1)
        self.probabilities.append(probabilities[point])
        return legal[point]


@dataclass(frozen=True)
class Edited:
    """A genome after an edit, and the edit in words."""

    genome: Genome
    edit: str


class Seen(Protocol):
    """The candidates known so far."""

    def add(self, genome: Genome) -> bool:
        """Take a genome in; False where one that computes the same is known."""
        ...


class Domain(Protocol):
    """A space of genomes."""

    @property
    def operations(self) -> Sequence[str]:
        """The operations that positions choose from."""
        ...

    @property
    def kernels(self) -> Sequence[int]:
        """The kernel sizes that layers choose from."""
        ...

    def random(self, rng: np.random.Generator) -> Genome:
        """A random genome."""
        ...

    def traits(self, genome: Genome) -> Traits:
        """What the statistics count."""
        ...

    def edit_layer(self, genome: Genome, draws: Draws) -> Edited | None:
        """An inter-layer edit: turn a layer into the other kind or change a kernel size. None where the draw came to
        nothing legal."""
        ...

    def edit_program(self, genome: Genome, draws: Draws) -> Edited | None:
        """An intra-layer edit of one attention program. None where the draw came to nothing legal, or where there is
        no attention layer."""
        ...

    def seen(self, genomes: Iterable[Genome]) -> Seen:
        """A memory that holds these."""
        ...


class SeenGenomes:
    """A memory that tells genomes apart by their graphs.

    Attributes:
        known: the genomes.
        within: those that there are; any other counts as known. None is all.
    """

    def __init__(self, known: set[Genome], within: Container[Genome] | None = None) -> None:
        self.known = known
        self.within = within

    def add(self, genome: Genome) -> bool:
        """See `Seen.add`."""
        if genome in self.known or (self.within is not None and genome not in self.within):
            return False
        self.known.add(genome)
        return True
