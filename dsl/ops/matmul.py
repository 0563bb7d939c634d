"""matmul x y: the matrix product."""

from autobertc.dsl.ops.base import MatMul, register

MATMUL = register(MatMul(name="matmul", formula="x y", op_set="paper", flops=0))
