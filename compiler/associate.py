"""From flat sums and products to binary products, in the cheapest order for given sizes.

`(Q K^T) V` becomes `Q (K^T V)`, linear in N; of two attention maps before V, the right one meets V first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autobertc.compiler.terms import Term, peel
from autobertc.dsl.graph import Node, Program, count_uses, make_node, post_order
from autobertc.dsl.ops.base import Add, MatMul
from autobertc.dsl.types import DN, NN


def fan_vertex(weights: Sequence[int]) -> int:
    """Where to split a chain of matrices of sizes w0 x w1, w1 x w2, ... for the least multiplications.

    An order of products is a triangulation of the polygon of the sizes. Where the sizes have two values only, as here,
    the triangles of all its sides with one least vertex are an optimal one (checked against dynamic programming by
    the tests); of several least vertices, the one with the largest neighbours saves most.
    """
    least = min(weights)
    count = len(weights)
    candidates = [index for index, weight in enumerate(weights) if weight == least]
    return max(candidates, key=lambda index: weights[index - 1] + weights[(index + 1) % count])


@dataclass(eq=False)
class _Associator:
    sizes: dict[str, int]
    uses: dict[Node, int]

    def chain(self, nodes: Sequence[Node]) -> Node:
        """A chain as binary products around the fan vertex."""
        symbols = [nodes[0].type.rows, *(node.type.columns for node in nodes)]
        vertex = fan_vertex([self.sizes[symbol] for symbol in symbols])
        left = right = None
        for node in reversed(nodes[:vertex]):
            left = node if left is None else self.product(node, left)
        for node in nodes[vertex:]:
            right = node if right is None else self.product(right, node)
        if left is None or right is None:
            whole = left or right
            assert whole is not None
            return whole
        return self.product(left, right)

    def product(self, left: Node, right: Node) -> Node:
        """One product, stored as [N,D] and never as [D,N], its constant factor outside."""
        x, y = peel(left), peel(right)
        factor = {"sign": x.sign * y.sign, "power": x.power + y.power}
        x, y = x.bare(), y.bare()
        turn = (x.type.rows, y.type.columns) == DN
        if turn:
            x, y = y.turned(), x.turned()
        parts = self._low_rank_terms(x) if y.type != NN else None
        if parts:
            core = make_node("add", *(self._part_product(part, y) for part in parts))
        else:
            core = make_node("matmul", x.node(), y.node())
        return Term(core, turn).scaled(**factor).node()

    def _low_rank_terms(self, term: Term) -> list[Term] | None:
        """The terms of a sum of score products over D, [N,N], which is cheaper multiplied term by term."""
        if term.type != NN or not isinstance(term.core.op, Add) or self.uses.get(term.core, 0) != 1:
            return None
        parts = [peel(operand).turned(term.transposed) for operand in term.core.operands]
        return parts if all(is_score_product(part.core) for part in parts) else None

    def _part_product(self, part: Term, right: Term) -> Node:
        """A score product of two factors times `right`, in the cheapest order."""
        factors = [peel(operand) for operand in part.core.operands]
        if part.transposed:
            factors = [factor.turned() for factor in reversed(factors)]
        product = peel(self.chain([*(factor.node() for factor in factors), right.node()]))
        return product.scaled(part.sign, part.power).node()


def is_score_product(node: Node) -> bool:
    """Whether a node is x y^T with x and y of type [N,D]: a map of rank D."""
    return isinstance(node.op, MatMul) and node.type == NN and node.operands[0].type.columns == "D"


def associate(program: Program, length: int, head_dim: int) -> Program:
    """The canonical program with every product binary, ordered for N = `length` and D = `head_dim`."""
    associator = _Associator({"N": length, "D": head_dim}, {})
    root = program.root
    for _ in range(2):
        # The second round sees the sums that the first one built, with their uses.
        associator.uses = count_uses(root)
        values: dict[Node, Node] = {}
        for node in post_order(root):
            operands = [values[operand] for operand in node.operands]
            if isinstance(node.op, MatMul):
                values[node] = associator.chain(operands)
            else:
                values[node] = make_node(node.op, *operands)
        root = values[root]
    return Program(root, program.spans)
