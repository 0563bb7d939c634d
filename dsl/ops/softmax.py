"""softmax x: each row exponentiated and divided by its sum."""

from typing import Any

from autobertc.dsl.ops.base import Rowwise, register


def _value(np: Any, x: Any) -> Any:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


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
    )
)
