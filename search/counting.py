"""How many typed expressions there are, and the expression of each number: the tables behind sampling.

Expressions are counted as they are written out in full, as trees; equal sub-expressions of one are one node of its
graph, so distinct trees are distinct graphs. A state is a type and whether the value mixes tokens, which is all that
the rules of typing and mixing ask of an operand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, lru_cache
from itertools import accumulate, product
from math import comb
from typing import NamedTuple

from autobertc.dsl.graph import Node, make_node
from autobertc.dsl.ops.base import Primitive
from autobertc.dsl.types import DD, DN, ND, NN, Type, TypeRuleError

TYPES = (ND, DN, NN, DD)


class Signature(NamedTuple):
    """An operation at given operand types."""

    op: Primitive
    operands: tuple[Type, ...]
    result: Type
    contracts: bool  # over N

    @property
    def is_map_product(self) -> bool:
        """Whether two [N,N] maps are contracted to a third, which takes N^3 operations as it stands."""
        return self.contracts and self.result == NN and len(self.operands) > 1


@cache
def signatures(op: Primitive) -> tuple[Signature, ...]:
    """Every way in which the operation can be typed."""
    found = []
    for types in product(TYPES, repeat=op.arity):
        try:
            result = op.result_type(*types)
        except TypeRuleError:
            continue
        found.append(Signature(op, types, result, op.contracts(*types) == "N"))
    return tuple(found)


class State(NamedTuple):
    type: Type
    mixes: bool


class Alternative(NamedTuple):
    """The top operation of an expression, with the state and the number of operations of each operand."""

    op: Primitive
    operands: tuple[State, ...]
    sizes: tuple[int, ...]


def splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to write a number as an ordered sum of numbers from 0."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in splits(total - first, parts - 1):
            yield (first, *rest)


class Tables:
    """Counts of expressions from a set of operations over named inputs, by state and number of operations.

    `map_products` says whether products of two [N,N] maps are counted.
    """

    def __init__(self, ops: Sequence[Primitive], inputs: Sequence[str], map_products: bool = True) -> None:
        self.inputs = tuple(inputs)
        kept = [it for op in ops for it in signatures(op) if map_products or not it.is_map_product]
        self._by_result = {kind: [it for it in kept if it.result == kind] for kind in TYPES}
        self._alternatives: dict[tuple[State, int], tuple[list[Alternative], list[int]]] = {}

    def count(self, state: State, size: int) -> int:
        """The number of expressions of that state with `size` operations."""
        if size == 0:
            return len(self.inputs) if state == (ND, False) else 0
        sums = self._choices(state, size)[1]
        return sums[-1] if sums else 0

    def _choices(self, state: State, size: int) -> tuple[list[Alternative], list[int]]:
        """The alternatives for the top operation, and the running sums of their counts."""
        found = self._alternatives.get((state, size))
        if found is not None:
            return found
        alternatives: list[Alternative] = []
        counts: list[int] = []
        for it in self._by_result[state.type]:
            for mixing in product((False, True), repeat=len(it.operands)):
                if (it.contracts or any(mixing)) != state.mixes:
                    continue
                operands = tuple(map(State, it.operands, mixing))
                for sizes in splits(size - 1, len(operands)):
                    count = 1
                    for operand, part in zip(operands, sizes, strict=True):
                        count *= self.count(operand, part)
                        if not count:
                            break
                    if count:
                        alternatives.append(Alternative(it.op, operands, sizes))
                        counts.append(count)
        found = self._alternatives[state, size] = (alternatives, list(accumulate(counts)))
        return found

    def expression(self, state: State, size: int, number: int) -> Node:
        """The expression of that number, from 0 to `count(state, size) - 1`: one for each, in a fixed order."""
        if size == 0:
            return make_node(self.inputs[number])
        alternatives, sums = self._choices(state, size)
        chosen = bisect_right(sums, number)
        number -= sums[chosen - 1] if chosen else 0
        alternative = alternatives[chosen]
        operands = []
        for operand, part in zip(alternative.operands, alternative.sizes, strict=True):
            number, own = divmod(number, self.count(operand, part))
            operands.append(self.expression(operand, part, own))
        return make_node(alternative.op, *operands)

    @cached_property
    def smallest(self) -> dict[Type, tuple[Node, ...]]:
        """The expressions of fewest operations of each type: the inputs, their transposes, ...

        Empty for a type that these operations do not reach from [N,D].
        """
        found: dict[Type, tuple[Node, ...]] = {}
        for kind in TYPES:
            # A type that needs more than 2 operations of different types below it is reached by no primitive set here.
            for size in range(len(TYPES) * 2):
                nodes = tuple(
                    self.expression(State(kind, mixes), size, number)
                    for mixes in (False, True)
                    for number in range(self.count(State(kind, mixes), size))
                )
                if nodes:
                    found[kind] = nodes
                    break
            else:
                found[kind] = ()
        return found


@lru_cache(maxsize=64)
def tables(ops: tuple[Primitive, ...], inputs: tuple[str, ...], map_products: bool = True) -> Tables:
    """The tables of a set of operations, filled as they are asked, kept for the next who asks."""
    return Tables(ops, inputs, map_products)


def count_using(ops: Sequence[Primitive], inputs: int, least: int, sizes: Sequence[int], map_products: bool) -> int:
    """How many mixing [N,D] expressions of these sizes use at least `least` of so many inputs."""
    # Over exactly a set of m inputs, by inclusion and exclusion from the counts over at most m.
    at_most = [0]
    for used in range(1, inputs + 1):
        counted = tables(tuple(ops), tuple("QKVP"[:used]), map_products)
        at_most.append(sum(counted.count(State(ND, True), size) for size in sizes))
    total = 0
    for used in range(max(least, 1), inputs + 1):
        exactly = sum((-1) ** (used - fewer) * comb(used, fewer) * at_most[fewer] for fewer in range(1, used + 1))
        total += comb(inputs, used) * exactly
    return total
