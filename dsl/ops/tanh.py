"""tanh x: the hyperbolic tangent."""

from autobertc.dsl.ops.base import Elementwise, register

TANH = register(
    Elementwise(
        name="tanh",
        formula="tanh(x)",
        flops=1,
        numpy=lambda np, x: np.tanh(x),
        torch="torch.tanh({0})",
        parity="odd",
        kernel="tanh(x)",
        # 1 - y^2, without its cancellation where y is near 1.
        slope="4.0 * exp(-2.0 * abs(x)) / ((1.0 + exp(-2.0 * abs(x))) * (1.0 + exp(-2.0 * abs(x))))",
    )
)
