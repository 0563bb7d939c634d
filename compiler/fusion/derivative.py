"""Reverse-mode differentiation of a program's graph: adjoints are graphs of the same operations.

Each primitive's rule stands in its own file; here are the chain rule and the rules of the fixed kinds. The sum over a
row of y times its gradient, which the gradient of a softmax needs, is taken from a consumer `c = y V` of known gradient
where there is one: `sum_k y_ik (G V^T)_ik = sum_d G_id c_id`, a sum over D in place of one over N.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autobertc.dsl.graph import Node, make_node, post_order
from autobertc.dsl.ops.base import (
    Add,
    Elementwise,
    ElementwiseBinary,
    Factor,
    Input,
    MatMul,
    Pairwise,
    Rowwise,
    Transpose,
)
from autobertc.dsl.ops.calculus import ROW_SUM, Keep, MissingKernel, pair_gradient, sloped
from autobertc.dsl.types import NN


def total(parts: list[Node]) -> Node:
    """The sum of one value or more."""
    return parts[0] if len(parts) == 1 else make_node("add", *parts)


def transposed(node: Node) -> Node:
    """The transpose, a double one taken off."""
    return node.operands[0] if isinstance(node.op, Transpose) else make_node("transpose", node)


@dataclass(eq=False)
class _Contribution:
    """What one consumer adds to a value's gradient, and how to get the row sums of value times that part."""

    gradient: Node
    row_dot: Callable[[], Node]


@dataclass(eq=False)
class Differentiator:
    """One backward pass.

    Attributes:
        values: each node of the program as the backward pass sees it: kept, or computed again.
        contributions: what has reached each node so far.
    """

    values: Mapping[Node, Node]
    contributions: dict[Node, list[_Contribution]] = field(default_factory=dict)

    def run(self, root: Node, gradient: Node) -> dict[str, Node]:
        """The gradient of each input, of type [N,D], for the gradient of the root. Raises `MissingKernel`."""
        self._add(root, root, gradient)
        results: dict[str, Node] = {}
        for node in reversed(list(post_order(root))):
            if node not in self.contributions:
                continue
            arrived = total([part.gradient for part in self.contributions[node]])
            if isinstance(node.op, Input):
                results[node.op.name] = arrived
            elif not isinstance(node.op, Keep):
                self._visit(node, arrived)
        return results

    def _add(self, node: Node, consumer: Node, gradient: Node, row_dot: Callable[[], Node] | None = None) -> None:
        part = _Contribution(gradient, row_dot or (lambda: self._sum_of_product(node, gradient)))
        self.contributions.setdefault(node, []).append(part)

    def _sum_of_product(self, node: Node, gradient: Node) -> Node:
        return make_node(ROW_SUM, make_node("mul", self.values[node], gradient))

    def _row_dot(self, node: Node) -> Node:
        """The sums over rows of a value times its gradient."""
        return total([part.row_dot() for part in self.contributions[node]])

    def _visit(self, node: Node, g: Node) -> None:
        op, operands = node.op, node.operands
        values = tuple(self.values[operand] for operand in operands)
        if isinstance(op, Factor):
            self._add(operands[0], node, make_node(op, g), lambda: self._row_dot(node))
        elif isinstance(op, Transpose):
            self._add(operands[0], node, transposed(g))
        elif isinstance(op, Add):
            for operand in operands:
                self._add(operand, node, g)
        elif isinstance(op, MatMul):
            self._matmul(node, g, values)
        elif isinstance(op, Elementwise):
            self._add(operands[0], node, sloped(make_node, op, 0, values, self.values[node], g))
        elif isinstance(op, ElementwiseBinary):
            for index, operand in enumerate(operands):
                gradient = sloped(make_node, op, index, values, self.values[node], g)
                # Under a dropout mask: y (keep * G) is (y keep) G.
                masked = isinstance(operands[1 - index].op, Keep) and op.multilinear
                self._add(operand, node, gradient, (lambda: self._row_dot(node)) if masked else None)
        elif isinstance(op, Rowwise):
            if op.derivative is None:
                raise MissingKernel(op, "derivative")
            dot = self._row_dot(node)
            self._add(operands[0], node, op.derivative(make_node, values[0], self.values[node], g, dot))
        elif isinstance(op, Pairwise):
            self._pairwise(node, op, g, values)
        else:
            raise TypeError(f"{op.name}: no derivative of a {type(op).__name__}")

    def _matmul(self, node: Node, g: Node, values: tuple[Node, ...]) -> None:
        x, y = values
        left, right = node.operands
        cheap = (lambda: self._sum_of_product(node, g)) if left.type == NN and node.type != NN else None
        self._add(left, node, make_node("matmul", g, transposed(y)), cheap)
        self._add(right, node, make_node("matmul", transposed(x), g))

    def _pairwise(self, node: Node, op: Pairwise, g: Node, values: tuple[Node, ...]) -> None:
        x, y = values
        if op.finish is not None:
            if op.finish_gradient is None:
                raise MissingKernel(op, "finish_gradient")
            g = make_node(op.finish_gradient, g, self.values[node])
        for operand, (first, second, weight) in zip(node.operands, ((x, y, g), (y, x, transposed(g))), strict=True):
            self._add(operand, node, make_node(pair_gradient(op), first, second, weight))
