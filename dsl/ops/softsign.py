"""softsign x: x / (1 + |x|)."""

from autobertc.dsl.ops.base import Elementwise, register

SOFTSIGN = register(
    Elementwise(
        name="softsign",
        formula="x / (1 + |x|)",
        op_set="paper",
        flops=3,
        numpy=lambda np, x: x / (1.0 + np.abs(x)),
        torch="F.softsign({0})",
        parity="odd",
        kernel="x / (1.0 + abs(x))",
        slope="1.0 / ((1.0 + abs(x)) * (1.0 + abs(x)))",
    )
)
