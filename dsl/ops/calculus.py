"""Operations that only the compiler makes: what derivatives and definitions are built from.

They never stand in a source file and are not registered. A statistic of rows has type `[rows,1]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

from autobertc.dsl.errors import UserError
from autobertc.dsl.ops.base import Elementwise, ElementwiseBinary, OpSet, Pairwise, Primitive
from autobertc.dsl.ops.expressions import evaluate, names, substitute
from autobertc.dsl.types import NN, Dimension, Type, TypeRuleError


@dataclass(frozen=True, eq=False, kw_only=True)
class Leaf(Primitive):
    """A value that is given: an incoming gradient, a value kept by the forward pass, the random mask of a dropout.

    `is_statistic` marks a kept softmax statistic.
    """

    type: Type
    is_statistic: bool = False
    op_set: OpSet = "internal"
    flops: int = 0
    arity: ClassVar[int] = 0

    def result_type(self, *operands: Type) -> Type:
        return self.type


@dataclass(frozen=True, eq=False, kw_only=True)
class Keep(Leaf):
    """The dropout mask of one attention map: 0 or 1 / (1 - p) for each pair of tokens."""

    site: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduction(Primitive):
    """The sum of each row, or what its softmax needs of it: `[a,b] -> [a,1]`.

    Of kind "softmax" it is two numbers, the maximum and one over the sum of exponentials of differences from it; of
    kind "log_sum_exp" one, the logarithm of the sum of exponentials.
    """

    kind: Literal["sum", "softmax", "log_sum_exp"]
    op_set: OpSet = "internal"

    def result_type(self, *operands: Type) -> Type:
        return Type(operands[0].rows, "1")

    def contracts(self, *operands: Type) -> str | None:
        return operands[0].columns


@dataclass(frozen=True, eq=False, kw_only=True)
class Broadcast(Primitive):
    """A statistic of rows in every column: `[a,1] -> [a,b]`."""

    columns: Dimension
    op_set: OpSet = "internal"
    flops: int = 0

    def result_type(self, *operands: Type) -> Type:
        if operands[0].columns != "1":
            raise TypeRuleError(self.name, "[a,1]", operands)
        return Type(operands[0].rows, self.columns)


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights(ElementwiseBinary):
    """A softmax from its scores and what it needs of their rows, broadcast."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PairSum(Primitive):
    """The sum over coordinates of a pairwise comparison's terms: `[a,c] [b,c] -> [a,b]`."""

    of: Pairwise
    op_set: OpSet = "internal"
    arity: ClassVar[int] = 2

    def result_type(self, *operands: Type) -> Type:
        return self.of.result_type(*operands)

    def contracts(self, *operands: Type) -> str | None:
        return operands[0].columns


@dataclass(frozen=True, eq=False, kw_only=True)
class PairGradient(Primitive):
    """The gradient of a `PairSum` by its first operand: `[a,c] [b,c] [a,b] -> [a,c]`, summed over b."""

    of: Pairwise
    op_set: OpSet = "internal"
    arity: ClassVar[int] = 3

    def result_type(self, *operands: Type) -> Type:
        return operands[0]

    def contracts(self, *operands: Type) -> str | None:
        return operands[1].rows


class MissingKernel(UserError):
    """A primitive that does not say what a fused kernel needs of it."""

    def __init__(self, op: Primitive, missing: str) -> None:
        super().__init__(
            f"primitive {op.name!r} has no {missing}, which fused kernels need: give it one, or use the eager backend"
        )


def elementwise(name: str, kernel: str, slope: str | None = None) -> Elementwise:
    """An elementwise operation of one operand, from its expression alone."""
    return Elementwise(
        name=name,
        formula=kernel,
        op_set="internal",
        numpy=lambda np, x: evaluate(np, kernel, {"x": x}),
        torch="",
        kernel=kernel,
        slope=slope,
    )


def elementwise_binary(name: str, kernel: str) -> ElementwiseBinary:
    """An elementwise operation of two operands, from its expression alone."""
    return ElementwiseBinary(
        name=name,
        formula=kernel,
        op_set="internal",
        numpy=lambda np, x, y: evaluate(np, kernel, {"x": x, "y": y}),
        torch="",
        kernel=kernel,
    )


ROW_SUM = Reduction(name="row_sum", formula="the sum of each row", kind="sum")
SOFTMAX_STATISTIC = Reduction(
    name="softmax_statistic", formula="max(x) and 1 / sum(exp(x - max(x))) of each row", kind="softmax", flops=3
)
LOG_SUM_EXP = Reduction(name="log_sum_exp", formula="log(sum(exp(x))) of each row", kind="log_sum_exp", flops=3)
BROADCAST: dict[str, Broadcast] = {
    "N": Broadcast(name="along_n", formula="x in each of N columns", columns="N"),
    "D": Broadcast(name="along_d", formula="x in each of D columns", columns="D"),
}
WEIGHTS = Weights(
    name="weights",
    formula="exp(x - largest) * inverse",
    op_set="internal",
    numpy=lambda np, x, y: np.exp(x - y),
    torch="",
    kernel="exp(x - y) * z",
)
WEIGHTS_BY_LOG = Weights(
    name="weights_by_log",
    formula="exp(x - log_sum_exp)",
    op_set="internal",
    numpy=lambda np, x, y: np.exp(x - y),
    torch="",
    kernel="exp(x - y)",
)


@cache
def pair_sum(of: Pairwise) -> PairSum:
    """The sum of a comparison's terms. Raises `MissingKernel`."""
    if of.term is None:
        raise MissingKernel(of, "term")
    return PairSum(name=f"{of.name}_sum", formula=f"sum of {of.term}", of=of, flops=0)


@cache
def pair_gradient(of: Pairwise) -> PairGradient:
    """The gradient of that sum by its first operand. Raises `MissingKernel`."""
    if of.term_slope is None:
        raise MissingKernel(of, "term_slope")
    return PairGradient(name=f"{of.name}_gradient", formula=f"sum of w * ({of.term_slope})", of=of, flops=0)


@cache
def _slope(op: Elementwise | ElementwiseBinary, index: int) -> tuple[str, Elementwise | ElementwiseBinary]:
    slopes = (op.slope,) if isinstance(op, Elementwise) else op.slopes
    slope = slopes[index] if slopes else None
    if slope is None:
        raise MissingKernel(op, "slope")
    used = names(slope)
    suffix = "" if isinstance(op, Elementwise) else f"_by_{'xy'[index]}"
    name = f"{op.name}_slope{suffix}"
    if len(used) == 2:
        return "xy", elementwise_binary(name, slope)
    (variable,) = used or {"x"}
    return variable, elementwise(name, substitute(slope, {"y": "x"}))


def sloped(
    call: Any, op: Elementwise | ElementwiseBinary, index: int, operands: tuple[Any, ...], y: Any, g: Any
) -> Any:
    """The gradient g carried through an elementwise operation with result y to its operand `index`.

    Raises `MissingKernel`.
    """
    slopes = op.slopes if isinstance(op, ElementwiseBinary) else None
    if isinstance(op, Elementwise) and op.slope == "y":
        return call("mul", g, y)
    if slopes and slopes[index] == "1.0":
        return g
    if slopes and slopes[index] in ("x", "y"):
        return call("mul", g, operands["xy".index(slopes[index])])
    variables, slope = _slope(op, index)
    second = operands[1] if isinstance(op, ElementwiseBinary) else y
    values = {"x": operands[0], "y": second}
    return call("mul", g, call(slope, *(values[variable] for variable in variables)))


def keep_mask(site: int) -> Keep:
    """The dropout mask of the attention map number `site`."""
    return _KEEPS.setdefault(site, Keep(name=f"keep_{site}", formula="dropout mask", type=NN, site=site))


_KEEPS: dict[int, Keep] = {}
