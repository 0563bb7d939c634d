"""unit x: each row divided by its norm, the norm clamped at 1e-8. Made by the compiler, which sees a cosine so."""

from typing import Any

from autobertc.dsl.ops.base import Rowwise, register


def unit_rows(np: Any, x: Any) -> Any:
    """Rows of x, `[..., rows, columns]`, divided by their clamped norms."""
    norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    return x / np.maximum(norm, 1e-8)


UNIT = register(
    Rowwise(
        name="unit",
        formula="x / max(|x|, 1e-8), each row",
        op_set="internal",
        flops=3,
        numpy=unit_rows,
        torch="ops.unit({0})",
        parity="odd",
    )
)
