"""When a value of each token is worth writing to memory once instead of being computed again for every tile.

Counted for a nominal device and size, in picoseconds; only ratios matter, and they differ little between devices.
"""

from __future__ import annotations

from collections.abc import Collection

from autobertc.compiler.fusion.shapes import contracts
from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import Add, Elementwise, ElementwiseBinary, MatMul, Transpose
from autobertc.dsl.ops.calculus import Leaf, Reduction
from autobertc.dsl.ops.expressions import ARITHMETIC, TRANSCENDENTAL

# An H100's rates, an operation each: main memory and second-level cache by the byte, special functions, arithmetic,
# tensor cores.
MEMORY = 1 / 3.35
CACHE = 1 / 5.5
SPECIAL = 1 / 4.2
ARITHMETIC_RATE = 1 / 60.0
TENSOR = 1 / 500.0
LAUNCH = 0.25  # a kernel's start, spread over the elements of a batch of 8, 12 heads, N = 2048, D = 64

NOMINAL_LENGTH = 2048
NOMINAL_WIDTH = 64
TILE = 64
BYTES = 2


def _expression(node: Node) -> str:
    return getattr(node.op, "kernel", None) or ""


def worth_keeping(node: Node, members: Collection[Node]) -> bool:
    """Whether a value of each token, read by every tile of a streamed axis, is cheaper written once.

    `members` are the values in memory. The alternative computes it from them in each of N / TILE passes.
    """
    leaves: set[Node] = set()
    seen: set[Node] = set()
    stack = [node]
    work = 0.0
    while stack:
        inner = stack.pop()
        if inner in seen:
            continue
        seen.add(inner)
        if (inner in members and inner is not node) or not inner.operands:
            leaves.add(inner)
            continue
        work += _work(inner)
        stack.extend(inner.operands)
    passes = NOMINAL_LENGTH / TILE
    again = passes * (work + (len(leaves) - 1) * BYTES * CACHE)
    once = work + (len(leaves) + 1) * BYTES * MEMORY + LAUNCH
    return again > once


def _work(node: Node) -> float:
    """Per element of a row of D elements."""
    op = node.op
    if isinstance(op, Elementwise | ElementwiseBinary):
        text = _expression(node)
        return len(TRANSCENDENTAL.findall(text)) * SPECIAL + len(ARITHMETIC.findall(text)) * ARITHMETIC_RATE
    if isinstance(op, Add):
        return len(node.operands) * ARITHMETIC_RATE
    if isinstance(op, MatMul):
        return 2 * NOMINAL_WIDTH * TENSOR
    if isinstance(op, Reduction) or contracts(node):
        return 2 * ARITHMETIC_RATE + (SPECIAL if getattr(op, "kind", "") == "softmax" else 0.0)
    if isinstance(op, Transpose | Leaf):
        return 0.0
    return ARITHMETIC_RATE
