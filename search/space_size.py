"""How large a space is."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from autobertc.search.counting import count_using

if TYPE_CHECKING:
    from autobertc.search.space import Space


@dataclass(frozen=True)
class SpaceSize:
    """Numbers of programs and of genomes as written.

    Programs are typed expressions that mix tokens and use enough inputs, written out in full: a shared value counts
    each time that it is written, so programs that share much are longer here than in the space, which has a few more.
    Different ways of writing one function count apart.

    Attributes:
        by_length: of each number of operations, how many programs.
        programs: their sum.
        programs_least: of them, those without a product of two [N,N] maps. The limit on growth lies between: it allows
            the products of maps that the compiler takes apart.
        genomes, genomes_least: the product over layers.
    """

    by_length: dict[int, int]
    programs: int
    programs_least: int
    genomes: int
    genomes_least: int

    def __str__(self) -> str:
        lengths = f"{min(self.by_length)} to {max(self.by_length)}"
        between = "" if self.programs == self.programs_least else f" (at least {magnitude(self.programs_least)})"
        between_genomes = "" if self.genomes == self.genomes_least else f" (at least {magnitude(self.genomes_least)})"
        return (
            f"{magnitude(self.programs)} programs of {lengths} operations{between}, "
            f"{magnitude(self.genomes)} genomes{between_genomes}"
        )


def magnitude(number: int) -> str:
    """A large number as a power of ten, a small one as it is."""
    if number < 10**6:
        return f"{number:,}"
    exponent = int(log10(number))
    mantissa = number / 10**exponent if exponent < 300 else 10 ** (log10(number) - exponent)
    return f"{mantissa:.1f}e{exponent}"


def measure(space: Space) -> SpaceSize:
    """How large the space is, by counting (see `SpaceSize`)."""
    sizes = range(space.length[0], space.length[1] + 1)
    inputs = len(space.inputs)
    by_length = {size: count_using(space.primitives, inputs, space.least_inputs, [size], True) for size in sizes}
    programs = sum(by_length.values())
    least = programs
    if space.growth != "cubic":
        least = count_using(space.primitives, inputs, space.least_inputs, sizes, False)
    genomes = [1, 1]
    for index in range(space.layers):
        if space.is_settled(index):
            continue
        kinds = space.kinds(index)
        for place, count in enumerate((programs, least)):
            genomes[place] *= count * ("attention" in kinds) + len(space.kernels) * ("convolution" in kinds)
    return SpaceSize(by_length, programs, least, *genomes)
