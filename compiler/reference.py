"""The oracle: a program evaluated node by node in NumPy float64, one rule per operation, for clarity and not speed.

Padding needs no rule here: a sequence is evaluated without its padded tokens, which is what the language says a
program computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobertc.dsl.graph import Node, Program, post_order
from autobertc.dsl.ops.base import Factor, Input, MatMul, Transpose

Array = NDArray[np.float64]


def apply(node: Node, operands: list[Array], head_dim: int) -> Array:
    """The value of one node, `[..., rows, columns]`, from those of its operands."""
    op = node.op
    if isinstance(op, Factor):
        scaled: Array = operands[0] * (op.sign * head_dim ** (-op.power / 2))
        return scaled
    if isinstance(op, Transpose):
        return np.swapaxes(operands[0], -1, -2)
    function: Any = np.matmul if isinstance(op, MatMul) else op_function(node)
    value = operands[0] if len(operands) > 1 else function(operands[0])
    for operand in operands[1:]:
        value = function(value, operand)
    result: Array = value
    return result


def op_function(node: Node) -> Any:
    """The NumPy function of a node's primitive, bound to the numpy module."""
    value: Any = getattr(node.op, "numpy")  # noqa: B009 - the kinds with a value all carry it
    return lambda *operands: value(np, *operands)


def evaluate_all(program: Program, inputs: Mapping[str, Array]) -> dict[Node, Array]:
    """Every value of a program, on inputs `[..., N, D]` without padding, in float64 or wider.

    Overflow and invalid operations give inf and nan, silently: they are results here.
    """
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for node in post_order(program.root):
            if isinstance(node.op, Input):
                value = inputs[node.op.name]
                values[node] = np.asarray(value, dtype=np.result_type(value, np.float64))
            else:
                operands = [values[operand] for operand in node.operands]
                head_dim = next(iter(inputs.values())).shape[-1]
                values[node] = apply(node, operands, head_dim)
    return values


def evaluate(program: Program, inputs: Mapping[str, Array], mask: NDArray[np.bool_] | None = None) -> Array:
    """The result of a program, `[batch..., N, D]`, on inputs of that shape.

    `mask`, `[batch, N]`, is True for real tokens; the result is 0 at the others.
    """
    if mask is None:
        return evaluate_all(program, inputs)[program.root]
    shape = next(iter(inputs.values())).shape
    result = np.zeros(shape)
    for index, real in enumerate(mask):
        if real.any():
            row = {name: value[index][..., real, :] for name, value in inputs.items()}
            result[index][..., real, :] = evaluate_all(program, row)[program.root]
    return result
