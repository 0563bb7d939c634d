"""cosine_similarity x y: the cosine of each row of x with each row of y, each norm clamped at 1e-8 by itself."""

from typing import Any

from autobertc.dsl.ops.base import Pairwise, register
from autobertc.dsl.ops.unit import unit_rows


def _value(np: Any, x: Any, y: Any) -> Any:
    return unit_rows(np, x) @ np.swapaxes(unit_rows(np, y), -1, -2)


COSINE_SIMILARITY = register(
    Pairwise(
        name="cosine_similarity",
        formula="x_i . y_j / (max(|x_i|, 1e-8) max(|y_j|, 1e-8))",
        op_set="paper",
        numpy=_value,
        torch="torch.matmul(ops.unit({0}), ops.unit({1}).mT)",
        # A dot of row-normalised operands is an ordinary score product, which every fused form takes.
        definition=lambda call, x, y: call("matmul", call("unit", x), call("transpose", call("unit", y))),
    )
)
