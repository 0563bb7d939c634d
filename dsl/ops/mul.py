"""mul x y: the elementwise product."""

from autobertc.dsl.ops.base import ElementwiseBinary, register

MUL = register(
    ElementwiseBinary(
        name="mul",
        formula="x y, elementwise",
        numpy=lambda np, x, y: x * y,
        torch="{0} * {1}",
        commutative=True,
        multilinear=True,
        kernel="x * y",
        slopes=("y", "x"),
    )
)
