"""What generated kernels call: loads and stores of tiles, and functions of one element that keep their precision.

A tile is 0 where there is no token or no feature: beyond the end, and under the padding mask. Arithmetic is float32.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs
# Arguments are Triton's pointers, numbers and tiles, which have no types in Python.

from typing import Any

from .operators import jit, tl

# Below every score: the least float32.
LOWEST: Any = tl.constexpr(-3.4028234e38) if tl.constexpr else None


@jit
def inside(places, stop, mask, sequence, N):
    """Which places hold a real token: below `stop`, and not padding."""
    real = places < stop
    if mask is not None:
        real = real & (tl.load(mask + sequence * N + places, mask=places < N, other=0) != 0)
    return real


@jit
def half(x, DTYPE: tl.constexpr):
    """x in the inputs' type, as a factor of a product: for values that fit it."""
    if DTYPE == "float16":
        x = x.to(tl.float16)
    if DTYPE == "bfloat16":
        x = x.to(tl.bfloat16)
    return x


@jit
def wide(x, DTYPE: tl.constexpr):
    """x as a factor of a product, in a type of float32's range: the others of a program may overflow float16."""
    if DTYPE == "bfloat16":
        x = x.to(tl.bfloat16)
    return x


@jit
def load_rows(pointer, rows, stride, real, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Rows of features, `[rows, BLOCK_D]`."""
    d = tl.arange(0, BLOCK_D)
    places = pointer + rows[:, None].to(tl.int64) * stride + d[None, :]
    if D == BLOCK_D:
        x = tl.load(places, mask=real[:, None], other=0.0)
    else:
        x = tl.load(places, mask=real[:, None] & (d < D)[None, :], other=0.0)
    return x.to(tl.float32)


@jit
def load_values(pointer, places, real):
    """A value for each token, or for each feature."""
    return tl.load(pointer + places, mask=real, other=0.0).to(tl.float32)


@jit
def load_square(pointer, rows, columns, row_stride, column_stride, real_rows, real_columns):
    """A tile of a matrix, `[rows, columns]`."""
    places = pointer + rows[:, None].to(tl.int64) * row_stride + columns[None, :].to(tl.int64) * column_stride
    return tl.load(places, mask=real_rows[:, None] & real_columns[None, :], other=0.0).to(tl.float32)


@jit
def store_rows(pointer, rows, stride, real, N, x, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """Writes rows of features, 0 under padding."""
    d = tl.arange(0, BLOCK_D)
    places = pointer + rows[:, None].to(tl.int64) * stride + d[None, :]
    x = tl.where(real[:, None], x, 0.0).to(pointer.dtype.element_ty)
    tl.store(places, x, mask=(rows < N)[:, None] & (d < D)[None, :])


@jit
def store_values(pointer, places, real, count, x):
    """Writes a value for each token, or for each feature."""
    tl.store(pointer + places, tl.where(real, x, 0.0), mask=places < count)


@jit
def store_square(pointer, rows, columns, row_stride, column_stride, real_rows, real_columns, height, width, x):
    """Writes a tile of a matrix, 0 under padding."""
    places = pointer + rows[:, None].to(tl.int64) * row_stride + columns[None, :].to(tl.int64) * column_stride
    x = tl.where(real_rows[:, None] & real_columns[None, :], x, 0.0)
    tl.store(places, x, mask=(rows < height)[:, None] & (columns < width)[None, :])


@jit
def keep_mask(seed, site, pair, rows, columns, N, dropout_p):
    """0, or 1 / (1 - p), for each pair of tokens: the same for the same seed in every kernel, whatever its tiles.

    Philox counters number the pairs of tokens; its key takes the seed, the head and the attention map.
    """
    key = tl.load(seed) + (pair * 64 + site) * 2654435761
    uniform = tl.rand(key, rows * N + columns)
    return tl.where(uniform < dropout_p, 0.0, 1.0 / (1.0 - dropout_p))


@jit
def inverse(total):
    """One over a sum of exponentials, 0 where there was nothing to sum."""
    return tl.where(total == 0.0, 0.0, 1.0 / total)


@jit
def softmax_statistic(x, axis: tl.constexpr):
    """The maximum, and one over the sum of exponentials, of values that are minus infinity where they do not count."""
    largest = tl.maximum(tl.max(x, axis=axis), LOWEST)
    total = tl.sum(tl.exp(x - tl.expand_dims(largest, axis)), axis=axis)
    return largest, inverse(total)


@jit
def log1p(x):
    """log(1 + x): near 0 twice the inverse hyperbolic tangent of x / (2 + x), by its series."""
    z = x / (2.0 + x)
    s = z * z
    series = 1.0 + s * (1 / 3 + s * (1 / 5 + s * (1 / 7 + s * (1 / 9 + s * (1 / 11 + s * (1 / 13))))))
    return tl.where(tl.abs(z) < 0.34, 2.0 * z * series, tl.log(1.0 + x))


@jit
def tanh(x):
    """By its series near 0, where the form with exponentials cancels."""
    s = x * x
    series = x * (1.0 + s * (-1 / 3 + s * (2 / 15 + s * (-17 / 315 + s * (62 / 2835 + s * (-1382 / 155925))))))
    far = 1.0 - 2.0 / (tl.exp(2.0 * tl.abs(x)) + 1.0)
    return tl.where(tl.abs(x) < 0.35, series, tl.where(x < 0.0, -far, far))


@jit
def add_pieces(pieces, result, count, stride, size, BLOCK: tl.constexpr):
    """The sum of `count` partial results of `size` elements, in their order."""
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    real = places < size
    total = tl.zeros((BLOCK,), tl.float32)
    for piece in range(count):
        total += tl.load(pieces + tl.cast(piece, tl.int64) * stride + places, mask=real, other=0.0)
    tl.store(result + places, total, mask=real)


@jit
def join_statistics(pieces, result, count, stride, size, width, BLOCK: tl.constexpr):
    """Of `count` partial softmax statistics, `[..., 2, width]`, that of all; `size` is half their elements."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    real = rows < size
    places = rows // width * (2 * width) + rows % width
    largest = tl.zeros((BLOCK,), tl.float32) + LOWEST
    total = tl.zeros((BLOCK,), tl.float32)
    for piece in range(count):
        start = pieces + tl.cast(piece, tl.int64) * stride + places
        part = tl.load(start, mask=real, other=0.0)
        part_inverse = tl.load(start + width, mask=real, other=0.0)
        now = tl.maximum(largest, part)
        total = total * tl.exp(largest - now)
        total += tl.where(part_inverse == 0.0, 0.0, tl.exp(part - now) / part_inverse)
        largest = now
    tl.store(result + places, largest, mask=real)
    tl.store(result + places + width, inverse(total), mask=real)
