"""transpose x: rows and columns exchanged."""

from autobertc.dsl.ops.base import Transpose, register

TRANSPOSE = register(Transpose(name="transpose", formula="x^T", op_set="paper"))
