"""What the planner asks of a node: how many sequence axes it has, and what it sums over."""

from __future__ import annotations

from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import MatMul, Transpose
from autobertc.dsl.ops.calculus import Leaf, PairGradient, PairSum, Reduction


def unturned(node: Node) -> tuple[Node, bool]:
    """The node below its transposes, which cost nothing, and whether it is the other way round."""
    turned = False
    while isinstance(node.op, Transpose):
        node, turned = node.operands[0], not turned
    return node, turned


def peeled(node: Node) -> Node:
    """The node below its transposes: a matrix is read in either orientation."""
    return unturned(node)[0]


def sequence_axes(node: Node) -> int:
    """How many of a value's two axes are the sequence."""
    return (node.type.rows == "N") + (node.type.columns == "N")


def contracts(node: Node) -> bool:
    """Whether the node is a sum over an axis that its value no longer has."""
    return isinstance(node.op, MatMul | Reduction | PairSum | PairGradient)


def contracts_sequence(node: Node) -> bool:
    """Whether that axis is the sequence: such a value is complete only when all tokens have been seen."""
    return contracts(node) and node.op.contracts(*(operand.type for operand in node.operands)) == "N"


def is_statistic(node: Node) -> bool:
    """Whether a value is the statistic of a softmax: two numbers for each row."""
    if isinstance(node.op, Leaf):
        return node.op.is_statistic
    return isinstance(node.op, Reduction) and node.op.kind == "softmax"


def is_map_product(node: Node) -> bool:
    """Whether two N x N maps are contracted to a third: the one form that no stage holds."""
    return contracts_sequence(node) and sequence_axes(node) == 2
