"""logsigmoid x: -log(1 + exp(-x)), stable at both ends."""

from autobertc.dsl.ops.base import Elementwise, register

LOGSIGMOID = register(
    Elementwise(
        name="logsigmoid",
        formula="-log(1 + exp(-x))",
        op_set="paper",
        flops=4,
        numpy=lambda np, x: -np.logaddexp(0.0, -x),
        torch="F.logsigmoid({0})",
        kernel="minimum(x, 0.0) - log1p(exp(-abs(x)))",
        slope="1.0 / (1.0 + exp(x))",
    )
)
