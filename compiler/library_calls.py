"""Which parts of a program one library attention call can take.

`softmax(c * (A B^T + C D^T)) E` is scaled dot-product attention over `[A C]` and `[B D]`: the library keeps no N x N
tensor. It fits a softmax map whose scores are score products, and whose every use is a product with values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autobertc.compiler.associate import is_score_product
from autobertc.compiler.terms import ConstantFactor, Term, peel
from autobertc.dsl.graph import Node, post_order
from autobertc.dsl.ops.base import Add, MatMul, Rowwise
from autobertc.dsl.types import ND, NN


@dataclass(frozen=True)
class AttentionCall:
    """A softmax map as a library call: the parts of queries and keys, side by side, the factor of the scores, and the
    values the map is applied to."""

    queries: tuple[Term, ...]
    keys: tuple[Term, ...]
    factor: ConstantFactor
    values: tuple[Node, ...]


def attention_maps(*roots: Node) -> list[Node]:
    """The softmax maps below the roots, [N,N], in post-order."""
    return [node for node in post_order(*roots) if isinstance(node.op, Rowwise) and node.op.is_map and node.type == NN]


def attention_calls(root: Node, kept: Node | None = None) -> dict[Node, AttentionCall]:
    """The softmax maps below `root` that a library call can take; `kept` is needed as a tensor and left out."""
    consumers: dict[Node, list[Node]] = {}
    for node in post_order(root):
        for operand in node.operands:
            consumers.setdefault(operand, []).append(node)
    calls = {}
    for weights in attention_maps(root):
        values = _values(weights, consumers)
        scores = _score_products(peel(weights.operands[0]))
        if weights is not kept and values and scores:
            calls[weights] = AttentionCall(*scores, values)
    return calls


def _values(weights: Node, consumers: Mapping[Node, list[Node]]) -> tuple[Node, ...] | None:
    """What the map is applied to, where each of its uses is `weights @ [N,D]`, else None."""
    uses = consumers.get(weights, [])
    for consumer in uses:
        if not isinstance(consumer.op, MatMul) or consumer.operands[0] is not weights or consumer.type != ND:
            return None
    values = tuple(consumer.operands[1] for consumer in uses)
    if len(values) > 1:
        # One call needs all its values before it. None may come from the map itself, nor from another map with
        # several uses, whose own call might be waiting for this one.
        several = {node for node in attention_maps(*values) if len(consumers[node]) > 1}
        if several:
            return None
    return values


def _score_products(scores: Term) -> tuple[tuple[Term, ...], tuple[Term, ...], ConstantFactor] | None:
    """Queries and keys of a sum of score products, and the factor all of them share, else None."""
    parts = [scores]
    if isinstance(scores.core.op, Add):
        parts = [peel(operand).scaled(*scores.factor).turned(scores.transposed) for operand in scores.core.operands]
    if not all(is_score_product(part.core) for part in parts):
        return None
    common = parts[0].factor
    if any(part.factor != common for part in parts):
        common = (1, 0)
    queries, keys = [], []
    for part in parts:
        left, right = (peel(operand) for operand in part.core.operands)
        query, key = (right.turned(), left) if part.transposed else (left, right.turned())
        queries.append(query if part.factor == common else query.scaled(*part.factor))
        keys.append(key)
    return tuple(queries), tuple(keys), common


def needed_values(root: Node, calls: Mapping[Node, AttentionCall]) -> set[Node]:
    """The nodes whose values are needed: the scores inside a library attention call are not."""
    needed: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in needed:
            continue
        needed.add(node)
        call = calls.get(node)
        if call:
            stack.extend(term.core for term in (*call.queries, *call.keys))
        else:
            stack.extend(node.operands)
    return needed
