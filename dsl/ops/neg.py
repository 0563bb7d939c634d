"""neg x: -x."""

from autobertc.dsl.ops.base import Factor, register

NEG = register(Factor(name="neg", formula="-x", op_set="paper", sign=-1))
