"""add x y: the sum."""

from autobertc.dsl.ops.base import Add, register

ADD = register(
    Add(
        name="add",
        formula="x + y",
        op_set="paper",
        numpy=lambda np, x, y: x + y,
        torch="{0} + {1}",
        commutative=True,
        kernel="x + y",
        slopes=("1.0", "1.0"),
    )
)
