"""Random programs and genomes of a space.

Programs are drawn backwards from the type of the output: the top operation first, with the number of expressions below
each choice as its weight. So every draw is typed and mixes tokens.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer, Layer
from autobertc.dsl.errors import UserError
from autobertc.dsl.graph import Node, Program
from autobertc.search.genome import Genome
from autobertc.search.space import PROGRAM, Kind, Space

# Of draws for one program. Nearly all are legal; a space where this many are not is a corner of one.
MAX_DRAWS = 10_000


def below(bound: int, rng: np.random.Generator) -> int:
    """A whole number from 0 to below `bound`, of any size, each as likely."""
    if bound < 1 << 62:
        return int(rng.integers(bound))
    bits = bound.bit_length()
    while True:
        number = int.from_bytes(rng.bytes(-(-bits // 8)), "big") >> (-bits % 8)
        if number < bound:
            return number


def sample_expression(space: Space, length: int, rng: np.random.Generator) -> Node:
    """An expression of type [N,D] that mixes tokens, each of `length` operations as likely.

    It may use too few inputs, or grow too fast. An expression that applies an [N,N] map to V is one of these: in the
    graph, the implied product is an operation like others.
    """
    return space.tables.expression(PROGRAM, length, below(space.tables.count(PROGRAM, length), rng))


def sample_program(space: Space, rng: np.random.Generator, rejected: Counter[str] | None = None) -> Program:
    """A legal program: a length, each that there are expressions of as likely, then a legal expression of that length,
    each as likely.

    Lengths count operations as written out in full; of one with equal parts, the program is shorter. What is drawn and
    illegal (too few inputs, too fast growth, too short once equal parts are shared) is drawn again, of the same length,
    and counted by its reason in `rejected`. Raises `UserError` where nothing legal is found.
    """
    program = find_program(space, rng, MAX_DRAWS, rejected)
    if program is None:
        raise UserError(f"space: no legal program found in {MAX_DRAWS} draws; allow more operations, lengths or growth")
    return program


def find_program(
    space: Space, rng: np.random.Generator, draws: int, rejected: Counter[str] | None = None
) -> Program | None:
    """`sample_program` by at most so many draws; None where none is legal. They are shared out among the lengths."""
    shortest, longest = space.length
    lengths = [length for length in range(shortest, longest + 1) if space.tables.count(PROGRAM, length)]
    for length in rng.permutation(lengths):
        for _ in range(draws // len(lengths)):
            root = sample_expression(space, int(length), rng)
            reason = space.illegal(root)
            if reason is None:
                return Program(root)
            if rejected is not None:
                rejected[reason] += 1
    return None


def sample_layer(
    space: Space, index: int, rng: np.random.Generator, rejected: Counter[str] | None = None, kind: Kind | None = None
) -> Layer:
    """A layer for that place: attention or convolution, with equal chance where both may be, its kernel uniform.

    `kind` is the kind to draw, one of `space.kinds(index)`.
    """
    fixed = space.settled.get(index)
    if fixed is not None and fixed.layer is not None:
        return fixed.layer
    kinds = space.kinds(index)
    kind = kind or kinds[int(rng.integers(len(kinds)))]
    if kind == "convolution":
        return ConvolutionLayer(space.kernels[int(rng.integers(len(space.kernels)))])
    return AttentionLayer(sample_program(space, rng, rejected))


def sample_genome(space: Space, rng: np.random.Generator, rejected: Counter[str] | None = None) -> Genome:
    """A legal genome, each layer by itself (see `sample_layer`)."""
    return Genome(tuple(sample_layer(space, index, rng, rejected) for index in range(space.layers)))
