"""Products of two attention maps that linearity removes.

`(A B + C) V`, with A, B, C of type [N,N], is `A (B V) + C V`: no product of two N x N matrices. Association alone sees
this where the product stands directly in a chain; here it is carried through sums, and into every use of a shared
product. What is left over is a product of maps under a non-linear operation.
"""

from __future__ import annotations

from itertools import product

from autobertc.compiler.terms import ConstantFactor, Term, peel
from autobertc.dsl.graph import Node, fold, make_node
from autobertc.dsl.ops.base import Add, MatMul
from autobertc.dsl.types import NN

# The most chains that one product may be written as: 64 nested doublings must not be written out.
MAX_CHAINS = 16

Chain = tuple[ConstantFactor, tuple[Node, ...]]


def _is_narrow(nodes: tuple[Node, ...]) -> bool:
    """Whether a chain passes through D, so that some order of products meets no two N x N matrices."""
    return any(node.type != NN for node in nodes)


def _turned(node: Node) -> Node:
    return peel(node).turned().node()


def _chains(node: Node, known: dict[Node, tuple[Chain, ...] | None]) -> tuple[Chain, ...] | None:
    """A value as a sum of chains, each with its factor; None where it is too many."""
    term = peel(node)
    inner = known.get(term.core, (((1, 0), (term.core,)),))
    if inner is None:
        return None
    return tuple(
        (
            (term.sign * sign, term.power + power),
            tuple(_turned(part) for part in reversed(chain)) if term.transposed else chain,
        )
        for (sign, power), chain in inner
    )


def _expansion(node: Node, known: dict[Node, tuple[Chain, ...] | None]) -> tuple[Chain, ...] | None:
    """The chains of a sum or product of [N,N] values."""
    parts = [_chains(operand, known) for operand in node.operands]
    if any(part is None for part in parts):
        return None
    found = [part for part in parts if part is not None]
    if isinstance(node.op, Add):
        chains = tuple(chain for part in found for chain in part)
    else:
        count = 1
        for part in found:
            count *= len(part)
        if count > MAX_CHAINS:
            return None
        chains = tuple(_joined(choice) for choice in product(*found))
    fits = len(chains) <= MAX_CHAINS and sum(len(chain) for _, chain in chains) <= 4 * MAX_CHAINS
    return chains if fits else None


def _joined(choice: tuple[Chain, ...]) -> Chain:
    sign, power = 1, 0
    nodes: tuple[Node, ...] = ()
    for (part_sign, part_power), chain in choice:
        sign, power, nodes = sign * part_sign, power + part_power, nodes + chain
    return (sign, power), nodes


def _written(chains: tuple[Chain, ...]) -> Node:
    terms = []
    for (sign, power), nodes in chains:
        core = nodes[0] if len(nodes) == 1 else make_node("matmul", *nodes)
        terms.append(Term(core).scaled(sign, power).node())
    return terms[0] if len(terms) == 1 else make_node("add", *terms)


def distribute(root: Node) -> Node:
    """The canonical expression without the products of maps that linearity removes."""
    known: dict[Node, tuple[Chain, ...] | None] = {}

    def rewrite(node: Node, operands: list[Node]) -> Node:
        again = make_node(node.op, *operands)
        if not isinstance(node.op, Add | MatMul):
            return again
        if again.type == NN and all(operand.type == NN for operand in operands):
            known[again] = _expansion(again, known)
        elif again.type == NN:
            # A score product: one chain of low rank.
            known[again] = (((1, 0), tuple(operands)),) if isinstance(node.op, MatMul) else None
        return _without_map_products(again, known) if isinstance(node.op, MatMul) else again

    return fold([root], rewrite)[root]


def _without_map_products(node: Node, known: dict[Node, tuple[Chain, ...] | None]) -> Node:
    """A product, its operands replaced by their chains where that leaves no product of maps, or fewer."""
    narrow = _is_narrow(node.operands)
    parts: list[tuple[Chain, ...]] = []
    worth = False
    for operand in node.operands:
        alone: tuple[Chain, ...] = (((1, 0), (operand,)),)
        chains = (_chains(operand, known) or alone) if operand.type == NN else alone
        # In a narrow product a product of maps is to be taken apart; in a product of maps a narrow chain is.
        useful = any(len(chain) > 1 and _is_narrow(chain) != narrow for _, chain in chains)
        worth = worth or useful
        parts.append(chains if useful else alone)
    count = 1
    for part in parts:
        count *= len(part)
    if not worth or count > MAX_CHAINS:
        return node
    return _written(tuple(_joined(choice) for choice in product(*parts)))
