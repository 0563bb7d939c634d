"""How a program's work grows with the number of tokens, without planning its kernels."""

from __future__ import annotations

from typing import Literal

from autobertc.compiler.fusion.joint import arranged
from autobertc.dsl.graph import Node, Program, post_order
from autobertc.dsl.ops.base import Add, Factor, MatMul, Pairwise, Transpose
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
        if node.type == NN and node.operands:
            if is_map_product(node):
                return "cubic"
            found = "quadratic"
    return found


def is_cubic(program: Program) -> bool:
    """Whether `growth_of` is cubic, told at sight for nearly all programs."""
    nodes = list(post_order(program.root))
    products = [node for node in nodes if is_map_product(node)]
    if not products:
        return False
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for operand in set(node.operands):
            users.setdefault(operand, []).append(node)
    # So few sums that a product is taken apart into less chains than `distribution` has room for.
    sums = len(products) == 1 and sum(isinstance(node.op, Add) for node in nodes) <= 2
    certain = True
    for node in products:
        if isinstance(node.op, Pairwise) and node.op.definition is None:
            return True
        if not (_is_narrow(node) or _only_meets_features(node, users, sums)):
            certain = False
            if all(_is_opaque(operand) for operand in node.operands) and _is_needed_whole(node, users):
                return True
    return False if certain else growth_of(program) == "cubic"


def is_map_product(node: Node) -> bool:
    """Whether an operation as it stands contracts two [N,N] maps to a third."""
    return isinstance(node.op, MatMul | Pairwise) and node.type == NN and node.operands[0].type == NN


def _is_narrow(node: Node) -> bool:
    """Whether a factor of a product of maps is itself the product of [N,D] and [D,N] values."""
    if not isinstance(node.op, MatMul):
        return False
    for operand in node.operands:
        while isinstance(operand.op, Factor | Transpose):
            operand = operand.operands[0]
        if (isinstance(operand.op, MatMul) or _is_defined(operand)) and operand.operands[0].type.columns == "D":
            return True
    return False


def _is_defined(node: Node) -> bool:
    """Whether a comparison is a product to the compiler."""
    return isinstance(node.op, Pairwise) and node.op.definition is not None


def _only_meets_features(node: Node, users: dict[Node, list[Node]], sums: bool) -> bool:
    """Whether all that is done with a product of maps, or, with `sums`, with sums of it, is to multiply it by [N,D]
    values, so that another order of products never makes it."""
    if not (isinstance(node.op, MatMul) or _is_defined(node)):
        return False
    linear = Factor | Transpose | Add if sums else Factor | Transpose
    stack = [node]
    while stack:
        for user in users.get(stack.pop(), ()):
            if isinstance(user.op, linear):
                stack.append(user)
            elif not isinstance(user.op, MatMul) or user.type == NN:
                return False
    return True


def _is_needed_whole(node: Node, users: dict[Node, list[Node]]) -> bool:
    """Whether a value, alone or in a sum, is an operand of something that is not linear."""
    stack, seen = [node], {node}
    while stack:
        for user in users.get(stack.pop(), ()):
            if isinstance(user.op, Factor | Transpose | Add):
                if user not in seen:
                    seen.add(user)
                    stack.append(user)
            elif not isinstance(user.op, MatMul):
                return True
    return False


def _is_opaque(node: Node) -> bool:
    """Whether no product of [N,D] and [D,N] values is to be had from a map by linearity."""
    stack = [node]
    while stack:
        op = (node := stack.pop()).op
        if isinstance(op, Factor | Transpose | Add):
            stack.extend(node.operands)
        elif isinstance(op, MatMul) or _is_defined(node):
            return False
    return True
