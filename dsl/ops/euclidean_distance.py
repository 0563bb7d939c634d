"""euclidean_distance x y: the distance of each row of x to each row of y.

Its gradient is (x - y) / d, and exactly 0 where d is 0. The sum of squared differences is accumulated as it stands:
|x|^2 + |y|^2 - 2 x.y loses the answer for near rows.
"""

from typing import Any

from autobertc.dsl.ops.base import Pairwise, register
from autobertc.dsl.ops.calculus import BROADCAST, ROW_SUM, elementwise


def _value(np: Any, x: Any, y: Any) -> Any:
    difference = x[..., :, None, :] - y[..., None, :, :]
    return np.sqrt((difference * difference).sum(axis=-1))


def _sum_derivative(call: Any, x: Any, y: Any, w: Any) -> Any:
    """2 sum_j w_ij (x_i - y_j), as a product: rows so near that x - y is lost have an undetermined direction."""
    weight = call("mul", x, call(BROADCAST[x.type.columns], call(ROW_SUM, w)))
    half = call("add", weight, call("neg", call("matmul", w, y)))
    return call("add", half, half)


EUCLIDEAN_DISTANCE = register(
    Pairwise(
        name="euclidean_distance",
        formula="|x_i - y_j|",
        op_set="paper",
        numpy=_value,
        torch="ops.distance({0}, {1})",
        term="(x - y) * (x - y)",
        term_slope="2.0 * (x - y)",
        finish=elementwise("root", "sqrt(x)", slope="where(y > 0.0, 0.5 / y, 0.0)"),
        sum_derivative=_sum_derivative,
    )
)
