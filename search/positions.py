"""Positions of operations in a program: what statistics count and edits point at."""

from __future__ import annotations

from dataclasses import dataclass

from autobertc.dsl.graph import Node, Program
from autobertc.dsl.ops.base import ElementwiseBinary


@dataclass(frozen=True, eq=False)
class Traversal:
    """The operations of a program in order.

    Attributes:
        order: every operation once, in post-order.
        index: the position of each, from 0.
        after: for operand i of an operation, the position that an operation put on top of that operand would take.
    """

    order: tuple[Node, ...]
    index: dict[Node, int]
    after: dict[tuple[Node, int], int]


def _visited(node: Node) -> list[int]:
    """The operands of an operation by place, in the order in which they are visited."""
    places = list(range(len(node.operands)))
    if isinstance(node.op, ElementwiseBinary) and node.op.commutative:
        places.sort(key=lambda place: node.operands[place].digest)
    return places


def traverse(root: Node) -> Traversal:
    """The operations below a root in post-order: left operand first, a shared one at its first visit, the operands
    of a commutative operation in the order of their digests. Inputs are none."""
    order: list[Node] = []
    after: dict[tuple[Node, int], int] = {}
    index: dict[Node, int] = {}
    opened: set[Node] = set()
    stack: list[tuple[Node, list[int]]] = []
    if root.operands:
        stack.append((root, _visited(root)[::-1]))
        opened.add(root)
    while stack:
        node, left = stack[-1]
        if left:
            operand = node.operands[left[-1]]
            if operand.operands and operand not in opened:
                opened.add(operand)
                stack.append((operand, _visited(operand)[::-1]))
            else:
                after[node, left.pop()] = len(order)
        else:
            stack.pop()
            index[node] = len(order)
            order.append(node)
    return Traversal(tuple(order), index, after)


def positions(program: Program) -> list[Node]:
    """The operations of a program as written, in the order that positions count them (see `traverse`)."""
    return list(traverse(program.root).order)
