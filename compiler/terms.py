"""The view of a value the rewrites work on: a constant factor, an orientation, and a core.

A value is `sign * D^(-power/2) * core`, transposed or not. Factors and transposes live in these fields while a graph
is rewritten and become nodes again, in one fixed order, only where an operation needs the value as an operand.
"""

from __future__ import annotations

from typing import NamedTuple

from autobertc.dsl.graph import Node, make_node
from autobertc.dsl.ops.base import Factor, Transpose
from autobertc.dsl.types import Type

# A factor beyond this power of D stays where it is: powers add up in products, and doubling would write a graph that
# grows exponentially.
MAX_POWER = 64

ConstantFactor = tuple[int, int]
"""(sign, power): the constant sign * D^(-power/2)."""


class Term(NamedTuple):
    """`sign * D^(-power/2) * core`, transposed where `transposed`."""

    core: Node
    transposed: bool = False
    sign: int = 1
    power: int = 0

    @property
    def type(self) -> Type:
        return self.core.type.transposed if self.transposed else self.core.type

    @property
    def factor(self) -> ConstantFactor:
        return self.sign, self.power

    def scaled(self, sign: int = 1, power: int = 0) -> Term:
        return Term(self.core, self.transposed, self.sign * sign, self.power + power)

    def turned(self, turn: bool = True) -> Term:
        return Term(self.core, self.transposed != turn, self.sign, self.power)

    def node(self) -> Node:
        """The value as a graph node: neg outside scale outside transpose outside the core."""
        node = make_node("transpose", self.core) if self.transposed else self.core
        for _ in range(self.power):
            node = make_node("scale", node)
        return make_node("neg", node) if self.sign < 0 else node


def pull_factors(terms: list[Term]) -> tuple[list[Term], ConstantFactor]:
    """The operands of a product, and the factor taken out of them: sign and power, or the sign alone of a very high
    power."""
    sign = 1
    for term in terms:
        sign *= term.sign
    power = sum(term.power for term in terms)
    if power > MAX_POWER:
        return [term._replace(sign=1) for term in terms], (sign, 0)
    return [term._replace(sign=1, power=0) for term in terms], (sign, power)


def peel(node: Node) -> Term:
    """The term a node is, its neg, scale and transpose taken off."""
    sign, power, transposed = 1, 0, False
    while isinstance(node.op, Factor | Transpose):
        if isinstance(node.op, Factor):
            sign, power = sign * node.op.sign, power + node.op.power
        else:
            transposed = not transposed
        node = node.operands[0]
    return Term(node, transposed, sign, power)
