"""Where values are rounded, for the stage executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rounding = Callable[[Array], Array]


def round_bfloat16(x: Array) -> Array:
    """float32 values rounded to bfloat16, to nearest even."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x)


def round_float16(x: Array) -> Array:
    """float32 values rounded to float16."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def _exact(x: Array) -> Array:
    return x


@dataclass(frozen=True)
class Precision:
    """Where values are rounded: `rows` of tokens in memory between stages, `results`, and operands of products that do,
    or do not, fit float16."""

    rows: Rounding = _exact
    results: Rounding = _exact
    narrow: Rounding = _exact
    wide: Rounding = _exact


PRECISIONS = {
    "float32": Precision(),
    # float16 may overflow in values that a program's text does not have; such values stay wide.
    "float16": Precision(results=round_float16, narrow=round_float16),
    "bfloat16": Precision(round_bfloat16, round_bfloat16, round_bfloat16, round_bfloat16),
}
