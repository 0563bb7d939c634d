"""relu x: the positive part."""

from autobertc.dsl.ops.base import Elementwise, register

RELU = register(
    Elementwise(
        name="relu",
        formula="max(x, 0)",
        flops=1,
        numpy=lambda np, x: np.maximum(x, 0.0),
        torch="F.relu({0})",
        kernel="maximum(x, 0.0)",
        slope="where(x > 0.0, 1.0, 0.0)",
    )
)
