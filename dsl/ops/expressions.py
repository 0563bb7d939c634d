"""Values of one element as expressions, which NumPy evaluates and kernels contain.

The language of `Elementwise.kernel` and its like: Python's arithmetic and comparisons over `x` and `y`, numbers with a
decimal point, and the functions below. `log1p` and `tanh` keep their relative precision near 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import CodeType
from typing import Any

FUNCTIONS = ("abs", "exp", "log", "log1p", "sqrt", "tanh", "maximum", "minimum", "where")
# Those that a GPU's special-function units compute, at a sixteenth of the rate of a product.
TRANSCENDENTAL = re.compile(r"\b(?:exp|log|log1p|sqrt|tanh)\(|/")
ARITHMETIC = re.compile(r"[-+*]|\b(?:abs|maximum|minimum|where)\(")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")


@cache
def names(expression: str) -> frozenset[str]:
    """The variables of an expression."""
    return frozenset(_NAME.findall(expression)) - set(FUNCTIONS)


def substitute(expression: str, values: Mapping[str, str]) -> str:
    """The expression with names, of variables and of functions, replaced."""
    return _NAME.sub(lambda match: values.get(match[0], match[0]), expression)


@cache
def _compiled(expression: str) -> CodeType:
    return compile(expression, "<kernel expression>", "eval")


def evaluate(np: Any, expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression on arrays, by the numpy module."""
    functions = {name: getattr(np, name) for name in FUNCTIONS}
    return eval(_compiled(expression), {"__builtins__": {}}, {**functions, **values})
