"""The operations that programs are lowered to, beside torch's own.

Padding: `mask` is None or `[batch, N]`, True for real tokens. Every value of a program is kept at 0 on padded rows
and columns (selected, not multiplied), so a contraction over the sequence sees real tokens only, on both operands,
forward and backward.

Programs compute in float32 at least: in float16 a product that meets its scale late, or another order of products,
would overflow where the program as written does not. Only the library's attention runs in the dtype of the inputs.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

# Attention with dropout works through query blocks of this many attention weights (16 MiB in float32) where there
# are weights for more than four.
BLOCK_ELEMENTS = 1 << 22


def widen(x: Tensor) -> Tensor:
    """x in float32 at least."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def select_rows(x: Tensor, mask: Tensor | None) -> Tensor:
    """x, `[batch, heads, N, columns]`, with padded rows 0."""
    return x if mask is None else torch.where(mask[:, None, :, None], x, 0.0)


def select_columns(x: Tensor, mask: Tensor | None) -> Tensor:
    """x, `[batch, heads, rows, N]`, with padded columns 0."""
    return x if mask is None else torch.where(mask[:, None, None, :], x, 0.0)


def select_map(x: Tensor, mask: Tensor | None) -> Tensor:
    """x, `[batch, heads, N, N]`, with padded rows and columns 0."""
    return x if mask is None else torch.where(mask[:, None, :, None] & mask[:, None, None, :], x, 0.0)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis."""
    return torch.softmax(x, dim=-1)


def masked_softmax(x: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis, a sequence axis; 0 at padded tokens, and everywhere where no token is real."""
    if mask is None:
        return torch.softmax(x, dim=-1)
    columns = mask[:, None, None, :]
    # A finite fill: minus infinity makes a row of no real token NaN, in the gradient too.
    filled = torch.where(columns, x, torch.finfo(x.dtype).min)
    return torch.where(columns, torch.softmax(filled, dim=-1), 0.0)


def dropout(x: Tensor, dropout_p: float) -> Tensor:
    """Dropout at rate `dropout_p`."""
    return F.dropout(x, dropout_p) if dropout_p > 0.0 else x


def unit(x: Tensor) -> Tensor:
    """Rows divided by their norms, each clamped at 1e-8; the gradient through a clamped norm is 0."""
    return F.normalize(widen(x), dim=-1, eps=1e-8).to(x.dtype)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Distances of rows, `[.., a, c]` and `[.., b, c]` to `[.., a, b]`, by the sum of squared differences.

    The gradient is (x - y) / d, and exactly 0 where d is 0.
    """
    return torch.cdist(widen(x), widen(y), compute_mode="donot_use_mm_for_euclid_dist").to(x.dtype)


def wide_matmul(x: Tensor, y: Tensor) -> Tensor:
    """The product in float32 at least, under autocast too."""
    x, y = widen(x), widen(y)
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return torch.matmul(x, y)
    return torch.matmul(x, y)


def _pad_width(x: Tensor, width: int) -> Tensor:
    return x if x.shape[-1] == width else F.pad(x, (0, width - x.shape[-1]))


def _in_query_blocks(attend: Callable[..., Tensor], query: Tensor, rows: int) -> Tensor:
    """`attend` on blocks of queries, each recomputed in the backward pass, so that one block's weights live at once."""
    blocks = [
        checkpoint(attend, query[..., start : start + rows, :], use_reentrant=False)
        for start in range(0, query.shape[-2], rows)
    ]
    return torch.cat(blocks, dim=-2)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout_p: float,
    scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """softmax(scale * query key^T) value, no attention weights kept, dropout on the weights.

    Shapes: query and key `[batch, heads, N, E]`, value `[batch, heads, N, C]`, result like value. The weights of a
    sequence with no real token see its zeroed values only, so the result there is 0. The library gets its operands in
    `dtype`; the result is float32 at least.
    """
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    columns = None if mask is None else (mask | ~mask.any(dim=-1, keepdim=True))[:, None, None, :]
    # Unequal widths would send the library to a form that keeps the weights.
    width = max(query.shape[-1], value.shape[-1])
    query, key, wide_value = _pad_width(query, width), _pad_width(key, width), _pad_width(value, width)

    def attend(part: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(
            part, key, wide_value, attn_mask=columns, dropout_p=dropout_p, scale=scale
        )

    length = query.shape[-2]
    weights = math.prod(query.shape[:-1]) * length
    if dropout_p > 0.0 and query.device.type == "cpu" and weights > 4 * BLOCK_ELEMENTS:
        result = _in_query_blocks(attend, query, max(1, BLOCK_ELEMENTS * length // weights))
    else:
        result = attend(query)
    return widen(result if width == value.shape[-1] else result[..., : value.shape[-1]])
