"""The genomes of a `Space`, as strategies search them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from autobertc.dsl.architecture import ConvolutionLayer
from autobertc.dsl.graph import Node
from autobertc.search.edits import Child, draw_between, draw_within
from autobertc.search.genome import Genome
from autobertc.search.identity import Identities, KeyCache
from autobertc.search.positions import traverse
from autobertc.search.sampling import sample_genome
from autobertc.search.space import Space
from autobertc.search.strategies.domain import Draws, Edited
from autobertc.search.strategies.priorities import Traits


class GenomeSpace:
    """A `Domain`: random genomes, edits and identities of a space.

    Attributes:
        space: what may be produced.
        cache: keys of programs, kept from round to round.
    """

    def __init__(self, space: Space, cache: KeyCache | None = None) -> None:
        self.space = space
        self.cache = cache or KeyCache()
        self._operation = {name: index for index, name in enumerate(space.ops)}
        self._kernel = {size: index for index, size in enumerate(space.kernels)}
        self._positions = lru_cache(maxsize=16384)(self._program)

    @property
    def operations(self) -> Sequence[str]:
        return self.space.ops

    @property
    def kernels(self) -> Sequence[int]:
        return self.space.kernels

    def random(self, rng: np.random.Generator) -> Genome:
        return sample_genome(self.space, rng)

    def traits(self, genome: Genome) -> Traits:
        """Layers that the space settles have none: nothing is chosen there, and they need not be of its operations.

        Raises `KeyError` for an operation or a kernel size that the space does not have.
        """
        return tuple(
            ()
            if self.space.is_settled(index)
            else self._kernel[layer.kernel]
            if isinstance(layer, ConvolutionLayer)
            else self._positions(layer.program.root)
            for index, layer in enumerate(genome.layers)
        )

    def _program(self, root: Node) -> tuple[int, ...]:
        return tuple(self._operation[node.op.name] for node in traverse(root).order)

    def edit_layer(self, genome: Genome, draws: Draws) -> Edited | None:
        def weights(layer: int, sizes: Sequence[int]) -> Sequence[float]:
            assert draws.priorities is not None
            return draws.priorities.kernel(layer, [self._kernel[size] for size in sizes])

        rejected: Counter[str] = Counter()
        by_priority = weights if draws.priorities else None
        return _edited(draw_between(self.space, genome, draws.rng, by_priority, rejected), rejected, draws)

    def edit_program(self, genome: Genome, draws: Draws) -> Edited | None:
        def weights(layer: int, position: int, names: Sequence[str]) -> Sequence[float]:
            legal = [self._operation[name] for name in names]
            return draws.of_operations(layer, position, legal)

        rejected: Counter[str] = Counter()
        by_priority = weights if draws.priorities else None
        return _edited(draw_within(self.space, genome, draws.rng, by_priority, rejected=rejected), rejected, draws)

    def seen(self, genomes: Iterable[Genome]) -> SeenFunctions:
        known = SeenFunctions(self.cache)
        for genome in genomes:
            known.add(genome)
        return known


class SeenFunctions:
    """Genomes told apart by what they compute."""

    def __init__(self, cache: KeyCache) -> None:
        self.identities = Identities(cache)

    def add(self, genome: Genome) -> bool:
        return self.identities.add(genome, len(self.identities)) is None


def _edited(child: Child | None, rejected: Counter[str], draws: Draws) -> Edited | None:
    """What was drawn, with its probability and the draws in vain noted."""
    draws.rejected += rejected.total()
    if child is None:
        return None
    if draws.priorities and child.probability is not None:
        draws.probabilities.append(child.probability)
    return Edited(child.genome, child.edit.describe())
