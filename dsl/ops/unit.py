"""unit x: each row divided by its norm, the norm clamped at 1e-8. Made by the compiler, which sees a cosine so."""

from typing import Any

from autobertc.dsl.ops.base import Elementwise, Rowwise, register
from autobertc.dsl.ops.calculus import BROADCAST, ROW_SUM, elementwise


def unit_rows(np: Any, x: Any) -> Any:
    """Rows of x, `[..., rows, columns]`, divided by their clamped norms."""
    norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    return x / np.maximum(norm, 1e-8)


# Of the sum of squares: one over the clamped norm, and whether the norm is above the clamp.
INVERSE_NORM: Elementwise = elementwise("inverse_norm", "1.0 / maximum(sqrt(x), 1e-8)")
NOT_CLAMPED: Elementwise = elementwise("not_clamped", "where(sqrt(x) > 1e-8, 1.0, 0.0)")


def _inverse_norm(call: Any, x: Any) -> Any:
    return call(INVERSE_NORM, call(ROW_SUM, call("mul", x, x)))


def _definition(call: Any, x: Any) -> Any:
    return call("mul", x, call(BROADCAST[x.type.columns], _inverse_norm(call, x)))


def _derivative(call: Any, x: Any, y: Any, g: Any, dot: Any) -> Any:
    wide = BROADCAST[x.type.columns]
    free = call(NOT_CLAMPED, call(ROW_SUM, call("mul", x, x)))
    across = call("add", g, call("neg", call("mul", y, call(wide, call("mul", free, dot)))))
    return call("mul", across, call(wide, _inverse_norm(call, x)))


UNIT = register(
    Rowwise(
        name="unit",
        formula="x / max(|x|, 1e-8), each row",
        op_set="internal",
        flops=3,
        numpy=unit_rows,
        torch="ops.unit({0})",
        parity="odd",
        definition=_definition,
        derivative=_derivative,
    )
)
