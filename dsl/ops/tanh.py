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
        slope="1.0 - y * y",
    )
)
