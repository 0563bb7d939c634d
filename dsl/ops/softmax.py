"""softmax x: each row exponentiated and divided by its sum."""

from typing import Any

from autobertc.dsl.ops.base import Factor, Input, MatMul, Rowwise, Transpose, register
from autobertc.dsl.ops.calculus import BROADCAST, LOG_SUM_EXP, SOFTMAX_STATISTIC, WEIGHTS, WEIGHTS_BY_LOG
from autobertc.dsl.types import NN


def _value(np: Any, x: Any) -> Any:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _bare(x: Any) -> Any:
    """A value without its constant factors and transposes."""
    while isinstance(x.op, Factor | Transpose):
        (x,) = x.operands
    return x


def _is_product_of_inputs(x: Any) -> bool:
    product = _bare(x)
    return isinstance(product.op, MatMul) and all(isinstance(_bare(y).op, Input) for y in product.operands)


def _definition(call: Any, x: Any) -> Any:
    """Of products of inputs the logarithm of the sum of exponentials is kept, as in FlashAttention-2 (Dao 2023): it
    rounds no worse than the products do. Beside other large scores, 1e8, it would lose the sum; they need both numbers.
    """
    bounded = x.type == NN and _is_product_of_inputs(x)
    weights, statistic = (WEIGHTS_BY_LOG, LOG_SUM_EXP) if bounded else (WEIGHTS, SOFTMAX_STATISTIC)
    return call(weights, x, call(BROADCAST[x.type.columns], call(statistic, x)))


def _derivative(call: Any, x: Any, y: Any, g: Any, dot: Any) -> Any:
    return call("mul", y, call("add", g, call("neg", call(BROADCAST[x.type.columns], dot))))


SOFTMAX = register(
    Rowwise(
        name="softmax",
        formula="exp(x) / sum(exp(x)) over the last axis",
        op_set="paper",
        flops=5,
        numpy=_value,
        torch="ops.softmax({0})",
        torch_masked="ops.masked_softmax({0}, {mask})",
        is_map=True,
        definition=_definition,
        derivative=_derivative,
    )
)
