"""square x: x times x."""

from autobertc.dsl.ops.base import Elementwise, register

SQUARE = register(
    Elementwise(
        name="square",
        formula="x^2",
        flops=1,
        numpy=lambda np, x: x * x,
        torch="torch.square({0})",
        parity="even",
        kernel="x * x",
        slope="x + x",
    )
)
