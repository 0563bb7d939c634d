"""exp x: the exponential."""

from autobertc.dsl.ops.base import Elementwise, register

EXP = register(
    Elementwise(
        name="exp",
        formula="exp(x)",
        flops=1,
        numpy=lambda np, x: np.exp(x),
        torch="torch.exp({0})",
        kernel="exp(x)",
        slope="y",
    )
)
