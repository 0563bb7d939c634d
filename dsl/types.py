"""Types of values: pairs of the symbols N (sequence length) and D (head width). There are no scalars.

The compiler alone also has columns of width 1, [N,1] and [D,1]: statistics of rows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Dimension = Literal["N", "D", "1"]


class Type(NamedTuple):
    """The shape of a matrix, by symbol. N and D never compare equal, whatever their numbers are."""

    rows: Dimension
    columns: Dimension

    @property
    def transposed(self) -> Type:
        return Type(self.columns, self.rows)

    def __str__(self) -> str:
        return f"[{self.rows},{self.columns}]"


ND = Type("N", "D")
DN = Type("D", "N")
NN = Type("N", "N")
DD = Type("D", "D")


class TypeRuleError(Exception):
    """Operand types that break the rule of an operation.

    `expected` states the rule in words; `operands` are the types that were found.
    """

    def __init__(self, operation: str, expected: str, operands: tuple[Type, ...]) -> None:
        found = " and ".join(str(operand) for operand in operands)
        super().__init__(f"{operation} expects {expected}, found {found}")
        self.operation = operation
        self.expected = expected
        self.operands = operands
