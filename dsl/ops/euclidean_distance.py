"""euclidean_distance x y: the distance of each row of x to each row of y.

Its gradient is (x - y) / d, and exactly 0 where d is 0. The sum of squared differences is accumulated as it stands:
|x|^2 + |y|^2 - 2 x.y loses the answer for near rows.
"""

from typing import Any

from autobertc.dsl.ops.base import Pairwise, register
from autobertc.dsl.ops.calculus import elementwise, elementwise_binary


def _value(np: Any, x: Any, y: Any) -> Any:
    difference = x[..., :, None, :] - y[..., None, :, :]
    return np.sqrt((difference * difference).sum(axis=-1))


EUCLIDEAN_DISTANCE = register(
    Pairwise(
        name="euclidean_distance",
        formula="|x_i - y_j|",
        op_set="paper",
        numpy=_value,
        torch="ops.distance({0}, {1})",
        term="(x - y) * (x - y)",
        term_slope="2.0 * (x - y)",
        finish=elementwise("root", "sqrt(x)"),
        # 0 at distance 0 whatever the incoming gradient is.
        finish_gradient=elementwise_binary("root_gradient", "where(y > 0.0, 0.5 * x / y, 0.0)"),
    )
)
