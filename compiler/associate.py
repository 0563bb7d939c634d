"""From flat sums and products to binary products, in the cheapest order for given sizes.

`(Q K^T) V` becomes `Q (K^T V)`, linear in N; of two attention maps before V, the right one meets V first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autobertc.compiler.passes import verified
from autobertc.compiler.terms import Term, peel, pull_factors
from autobertc.dsl.graph import Node, Program, count_uses, make_node, post_order
from autobertc.dsl.ops.base import Add, MatMul
from autobertc.dsl.types import DN, NN


def product_order(weights: Sequence[int]) -> list[int | None]:
    """The order of products in a chain of matrices of sizes w0 x w1, w1 x w2, ... that takes the fewest operations.

    The order is in postfix form: a number is a matrix of the chain, None the product of the two values before it.

    An order is a triangulation of the polygon of the sizes, and a triangle costs the product of its corners. The
    sizes have two values here, so the least is had by first cutting off, between each two neighbouring corners of the
    lesser size, what lies between them (the tests compare with dynamic programming): pieces from one least size to
    the next become small square matrices, these are multiplied, and the two ends are joined to them last. A piece is
    built from its right, where an attention map meets values and becomes a library call.
    """
    least = min(weights)
    cuts = [index for index, weight in enumerate(weights) if weight == least]
    first, last, count = cuts[0], cuts[-1], len(weights) - 1
    order: list[int | None] = []

    def from_the_right(start: int, stop: int) -> None:
        order.extend(range(start, stop))
        order.extend([None] * (stop - start - 1))

    def join(parts: int) -> None:
        order.extend([None] * (parts > 1))

    parts = 0
    if first > 0:
        from_the_right(0, first)
        parts += 1
    for number, (start, stop) in enumerate(pairwise(cuts)):
        from_the_right(start, stop)
        join(number + 1)
    if len(cuts) > 1:
        parts += 1
        join(parts)
    if last < count:
        order.append(last)
        for matrix in range(last + 1, count):
            order.extend((matrix, None))
        join(parts + 1)
    return order


@dataclass(eq=False)
class _Associator:
    sizes: dict[str, int]
    uses: dict[Node, int]

    def chain(self, nodes: Sequence[Node]) -> Node:
        """A chain as binary products in the cheapest order."""
        symbols = [nodes[0].type.rows, *(node.type.columns for node in nodes)]
        stack: list[Node] = []
        for item in product_order([self.sizes[symbol] for symbol in symbols]):
            if item is None:
                right = stack.pop()
                stack.append(self.product(stack.pop(), right))
            else:
                stack.append(nodes[item])
        return stack.pop()

    def product(self, left: Node, right: Node) -> Node:
        """One product, stored as [N,D] and never as [D,N], its constant factor outside."""
        (x, y), factor = pull_factors([peel(left), peel(right)])
        turn = (x.type.rows, y.type.columns) == DN
        if turn:
            x, y = y.turned(), x.turned()
        parts = self._low_rank_terms(x) if y.type != NN else None
        if parts:
            products = [self._part_product(part, y) for part in parts]
            core = products[0] if len(products) == 1 else make_node("add", *products)
        else:
            core = make_node("matmul", x.node(), y.node())
        whole = peel(core)
        return whole.turned(turn).scaled(*factor).node()

    def _low_rank_terms(self, term: Term) -> list[Term] | None:
        """A score product over D, or the terms of a sum of them: a map of low rank, cheaper never made."""
        if term.type != NN or self.sizes["D"] >= self.sizes["N"]:
            return None
        if is_score_product(term.core):
            return [term]
        if not isinstance(term.core.op, Add) or self.uses.get(term.core, 0) != 1:
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


def associate_roots(roots: Sequence[Node], length: int, head_dim: int) -> list[Node]:
    """Canonical expressions that share values, with every product binary, ordered for these N and D."""
    associator = _Associator({"N": length, "D": head_dim}, {})
    nodes = list(roots)
    for _ in range(2):
        # The second round sees the sums that the first one built, with their uses.
        associator.uses = count_uses(*nodes)
        values: dict[Node, Node] = {}
        for node in post_order(*nodes):
            operands = [values[operand] for operand in node.operands]
            if isinstance(node.op, MatMul):
                values[node] = associator.chain(operands)
            else:
                values[node] = make_node(node.op, *operands)
        nodes = [values[node] for node in nodes]
    return nodes


@verified
def associate(program: Program, length: int, head_dim: int) -> Program:
    """The canonical program with every product binary, ordered for N = `length` and D = `head_dim`."""
    (root,) = associate_roots([program.root], length, head_dim)
    return Program(root, program.spans)
