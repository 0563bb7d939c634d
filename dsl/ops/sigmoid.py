"""sigmoid x: 1 / (1 + exp(-x)), stable at both ends."""

from autobertc.dsl.ops.base import Elementwise, register

SIGMOID = register(
    Elementwise(
        name="sigmoid",
        formula="1 / (1 + exp(-x))",
        flops=3,
        numpy=lambda np, x: np.exp(-np.logaddexp(0.0, -x)),
        torch="torch.sigmoid({0})",
        kernel="1.0 / (1.0 + exp(-x))",
        # y (1 - y), without its cancellation where y is near 1.
        slope="exp(-abs(x)) / ((1.0 + exp(-abs(x))) * (1.0 + exp(-abs(x))))",
    )
)
