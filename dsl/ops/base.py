"""What a primitive is, and the kinds there are.

A primitive's own file is the single source of what it computes: nothing else in the project names it. A file
builds one instance of a kind below and hands it to `register`; the kind carries the type rule and tells the
compiler how the operation relates to transposition, to constant factors and to padding.

Values are given twice, without importing the libraries they are written for, so that the language starts at once:
`numpy` is a function of the numpy module and the operands (arrays of shape `[..., rows, columns]`, float64); `torch`
is a source expression over the operands `{0}`, `{1}` in which `torch`, `F` (torch.nn.functional) and `ops` (the
project's functional.py) may be used.

For fused kernels a file also gives `kernel`, its value as an expression of `expressions.py` over `x` (and `y`), and its
derivative; a primitive without them runs on the eager backend only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, TypeVar

from autobertc.dsl.types import Type, TypeRuleError

OpSet = Literal["paper", "second", "internal"]
Parity = Literal["odd", "even"]
AnyPrimitive = TypeVar("AnyPrimitive", bound="Primitive")


@dataclass(frozen=True, eq=False, kw_only=True)
class Primitive:
    """An operation of the language.

    Attributes:
        name: how programs call it.
        formula: its value in mathematics, for `autobertc ops`.
        op_set: "paper" (Table 1), "second" (off by default in the search) or "internal" (made by the compiler, not
            callable from a source file).
        flops: floating-point operations per element of the result, contractions apart.
    """

    name: str
    formula: str
    op_set: OpSet = "second"
    flops: int = 1

    arity: ClassVar[int] = 1
    rule: ClassVar[str] = "same type"
    associative: ClassVar[bool] = False

    def result_type(self, *operands: Type) -> Type:
        """The type of the result. Raises `TypeRuleError` where the operands break the rule."""
        return operands[0]

    def contracts(self, *operands: Type) -> str | None:
        """The dimension the operation sums or normalises over, or None."""
        return None


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Primitive):
    """One of Q, K, V, P: a linear map of the layer input, `[N,D]`."""

    op_set: OpSet = "internal"
    flops: int = 0
    arity: ClassVar[int] = 0
    rule: ClassVar[str] = "[N,D]"

    def result_type(self, *operands: Type) -> Type:
        return Type("N", "D")


@dataclass(frozen=True, eq=False, kw_only=True)
class Factor(Primitive):
    """Multiplication by the constant `sign * D ** (-power / 2)`; the whole family of constant factors."""

    sign: int = 1
    power: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Primitive):
    """Exchange of rows and columns."""

    flops: int = 0
    rule: ClassVar[str] = "[a,b] -> [b,a]"

    def result_type(self, *operands: Type) -> Type:
        return operands[0].transposed


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementwise(Primitive):
    """A function of one element of one operand.

    `parity` says that f(-x) is -f(x) ("odd") or f(x) ("even"), exactly in floating point. `slope` is the derivative,
    an expression over `x`, over the result `y`, or over both.
    """

    numpy: Callable[..., Any]
    torch: str
    parity: Parity | None = None
    kernel: str | None = None
    slope: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ElementwiseBinary(Primitive):
    """A function of one element of each of two operands of one type.

    `commutative`: f(x, y) = f(y, x). `multilinear`: constant factors of either operand move out, as for a product.
    `slopes` are the derivatives by x and by y, expressions over both.
    """

    numpy: Callable[..., Any]
    torch: str
    commutative: bool = False
    multilinear: bool = False
    kernel: str | None = None
    slopes: tuple[str, str] | None = None
    arity: ClassVar[int] = 2
    rule: ClassVar[str] = "equal types"

    def result_type(self, *operands: Type) -> Type:
        if any(operand != operands[0] for operand in operands):
            raise TypeRuleError(self.name, "operands of one type", operands)
        return operands[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(ElementwiseBinary):
    """The sum. In the compiler it takes two operands or more."""

    associative: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class MatMul(Primitive):
    """The matrix product. In the compiler it takes a chain of two operands or more."""

    arity: ClassVar[int] = 2
    rule: ClassVar[str] = "[a,b] [b,c] -> [a,c]"
    associative: ClassVar[bool] = True

    def result_type(self, *operands: Type) -> Type:
        for left, right in pairwise(operands):
            if left.columns != right.rows:
                raise TypeRuleError(self.name, "[a,b] and [b,c]", operands)
        return Type(operands[0].rows, operands[-1].columns)

    def contracts(self, *operands: Type) -> str | None:
        inner = {operand.columns for operand in operands[:-1]}
        return "N" if "N" in inner else "D"


@dataclass(frozen=True, eq=False, kw_only=True)
class Rowwise(Primitive):
    """A function of each row, that is over the last axis.

    Padded elements of a row are 0. Where such zeros change the result at the other elements, `torch_masked` is the
    form over the sequence axis, with `{mask}` the padding mask, `[batch, N]` or None; it must give 0 in padded columns.
    `is_map` marks a distribution over tokens where the type is [N,N]: an attention map, to which dropout applies.

    Fused kernels compute `definition(call, x)`, the value built from other operations with `call` (`make_node`).
    `derivative(call, x, y, g, dot)` builds the gradient by x from the operand, the result y, the incoming gradient g
    and `dot`, the sums of y g over each row, `[rows,1]`.
    """

    numpy: Callable[..., Any]
    torch: str
    torch_masked: str | None = None
    parity: Parity | None = None
    is_map: bool = False
    definition: Callable[..., Any] | None = None
    derivative: Callable[..., Any] | None = None

    def contracts(self, *operands: Type) -> str | None:
        return operands[0].columns


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairwise(Primitive):
    """A symmetric comparison of each row of x with each row of y: f(x, y) transposed is f(y, x).

    Coordinates where both rows are 0 must not change the result (padding is zeroed before a contraction over N).
    `definition` builds the same value from other operations, where the compiler should see through it.

    In fused kernels the value is `finish(sum of term(x, y))` over the coordinates. `term` is an expression over `x` and
    `y`, `term_slope` its derivative by x; `finish` is an elementwise operation, or None for the sum itself, and
    `finish_gradient` makes the gradient of the sum of the incoming gradient x and the result y.
    """

    numpy: Callable[..., Any]
    torch: str
    definition: Callable[[Callable[..., Any], Any, Any], Any] | None = None
    term: str | None = None
    term_slope: str | None = None
    finish: Elementwise | None = None
    finish_gradient: ElementwiseBinary | None = None
    arity: ClassVar[int] = 2
    rule: ClassVar[str] = "[a,c] [b,c] -> [a,b]"

    def result_type(self, *operands: Type) -> Type:
        if operands[0].columns != operands[1].columns:
            raise TypeRuleError(self.name, "[a,c] and [b,c]", operands)
        return Type(operands[0].rows, operands[1].rows)

    def contracts(self, *operands: Type) -> str | None:
        return operands[0].columns


_REGISTRY: dict[str, Primitive] = {}
_RESERVED = ("Q", "K", "V", "P", "model", "att", "conv", "let", "repeat")


def register(primitive: AnyPrimitive) -> AnyPrimitive:
    """Add a primitive to the language and return it.

    Raises `ValueError` where the name is taken, reserved or no identifier.
    """
    if not primitive.name.isidentifier() or not primitive.name.isascii():
        raise ValueError(f"a primitive's name must be an identifier, not {primitive.name!r}")
    if primitive.name in _RESERVED:
        raise ValueError(f"the name {primitive.name!r} is a word of the language")
    if primitive.name in _REGISTRY:
        raise ValueError(f"there is a primitive {primitive.name!r} already")
    _REGISTRY[primitive.name] = primitive
    return primitive


@contextmanager
def registered(primitive: AnyPrimitive) -> Iterator[AnyPrimitive]:
    """Register a primitive for the length of a `with` block. Raises as `register` does."""
    register(primitive)
    try:
        yield primitive
    finally:
        del _REGISTRY[primitive.name]


def lookup(name: str) -> Primitive | None:
    """The primitive of that name, or None."""
    return _REGISTRY.get(name)


def primitives(*op_sets: OpSet) -> tuple[Primitive, ...]:
    """All primitives of the named sets (by default of those callable from a source file), in order of registration."""
    wanted = op_sets or ("paper", "second")
    return tuple(primitive for primitive in _REGISTRY.values() if primitive.op_set in wanted)
