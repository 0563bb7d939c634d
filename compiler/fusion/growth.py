"""How a program's work grows with the number of tokens, without planning its kernels."""

from __future__ import annotations

from typing import Literal

from autobertc.compiler.fusion.joint import arranged
from autobertc.dsl.graph import Program, post_order
from autobertc.dsl.ops.base import MatMul, Pairwise
from autobertc.dsl.types import NN

Growth = Literal["linear", "quadratic", "cubic"]


def growth_of(program: Program) -> Growth:
    """The growth in N of both directions of a program as it is planned: that of `accounting.growth`, many times sooner.

    Two [N,N] maps contracted to a third are cubic, any other [N,N] value is quadratic. The derivative of a product is
    products of the same three sizes, and that of a function of each element, or of each row, has that value's size: so
    the backward pass grows as the forward pass does.
    """
    found: Growth = "linear"
    root, _ = arranged(program)
    for node in post_order(root):
        if node.type != NN or not node.operands:
            continue
        if isinstance(node.op, MatMul | Pairwise) and node.operands[0].type == NN:
            return "cubic"
        found = "quadratic"
    return found
