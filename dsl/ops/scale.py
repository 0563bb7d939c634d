"""scale x: x / sqrt(D), D the head width whatever the type of x."""

from autobertc.dsl.ops.base import Factor, register

SCALE = register(Factor(name="scale", formula="x / sqrt(D)", op_set="paper", power=1))
