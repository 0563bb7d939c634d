"""When two candidates are one: the same kinds and kernels, and programs of one function up to the names of inputs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from autobertc.compiler.keys import Keys, keys, same_function
from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer, Layer
from autobertc.dsl.graph import Node, Program
from autobertc.search.genome import Genome

# Of programs whose keys are kept; some kilobytes each.
MAX_KEPT = 50_000

CandidateKey = tuple[int | str, ...]
"""For each layer the kernel size, or the key of the program."""


@dataclass(eq=False)
class KeyCache:
    """Keys by program, the least recently asked for dropped first.

    Attributes:
        hits, misses: how often a key was there already, and how often not.
    """

    limit: int = MAX_KEPT
    hits: int = 0
    misses: int = 0
    _kept: OrderedDict[Node, Keys] = field(default_factory=OrderedDict, repr=False)

    def keys(self, program: Program) -> Keys:
        """Both keys of a program."""
        found = self._kept.get(program.root)
        if found is not None:
            self.hits += 1
            self._kept.move_to_end(program.root)
            return found
        self.misses += 1
        found = self._kept[program.root] = keys(program)
        if len(self._kept) > self.limit:
            self._kept.popitem(last=False)
        return found

    def candidate(self, genome: Genome) -> CandidateKey:
        """The key of a genome: equal for genomes of one function, layer by layer, up to the names of inputs.

        Where a program's values are not finite its structural key stands for it.
        """
        return tuple(self._layer(layer) for layer in genome.layers)

    def _layer(self, layer: Layer) -> int | str:
        if isinstance(layer, ConvolutionLayer):
            return layer.kernel
        found = self.keys(layer.program)
        return found.relabelled or f"structure {found.structural}"


@dataclass(eq=False)
class Identities:
    """The candidates of a study, and which new ones repeat them.

    Attributes:
        cache: the keys of programs.
        unconfirmed: how often equal keys turned out to be different functions.
    """

    cache: KeyCache = field(default_factory=KeyCache)
    unconfirmed: int = 0
    _seen: dict[CandidateKey, list[tuple[int, Genome]]] = field(default_factory=dict, repr=False)
    _count: int = 0

    def find(self, genome: Genome) -> int | None:
        """The number of the candidate that this one repeats; None where it is new. Equal keys are confirmed by
        comparing values."""
        for number, other in self._seen.get(self.cache.candidate(genome), ()):
            if self._same(genome, other):
                return number
            self.unconfirmed += 1
        return None

    def add(self, genome: Genome, number: int) -> int | None:
        """Remember a candidate under its number; where it repeats one, nothing, and the number of that one."""
        found = self.find(genome)
        if found is None:
            self._seen.setdefault(self.cache.candidate(genome), []).append((number, genome))
            self._count += 1
        return found

    def __len__(self) -> int:
        return self._count

    def _same(self, left: Genome, right: Genome) -> bool:
        """Whether two genomes of equal keys agree layer by layer."""
        for ours, theirs in zip(left.layers, right.layers, strict=True):
            if isinstance(ours, AttentionLayer) and isinstance(theirs, AttentionLayer):
                a, b = ours.program, theirs.program
                if a.root is b.root or self.cache.keys(a).structural == self.cache.keys(b).structural:
                    continue
                if not same_function(a, b, relabelled=True):
                    return False
        return True
