"""The kernels of the gated convolution: GLU, padding and depthwise convolution in one pass over memory.

A convolution is a product with a band matrix. `STEP` rows of a result take `STEP + WIDTH - 1` rows of its operand, the
first of them WIDTH // 2 rows earlier:

    forward            output[i] = sum_j band[i, j] values[j],            band[i, j] = kernel[j - i]
    values' gradient   result[i] = sum_j band[i, j] gradient[j],          band[i, j] = kernel[WIDTH - 1 - (j - i)]
    kernel's gradient  result[k] = sum_i products[i, i + k],              products[i, j] = gradient[i] . values[j]

So the GLU of a row is computed once for a tile, not WIDTH times, and the sums run on tensor cores, which have the time:
all three kernels wait for memory. A program has the channels of one head, `COLUMNS` at a time, in `CHUNKS`. `ROWS` and
`SPAN` are the powers of two that hold a tile of the result and of the operand.

Sequences are `[batch, N, channels]`, with strides of batch and row where they are not the kernel's own results.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs
# Arguments are Triton's pointers and numbers, which have no types in Python.

from .operators import jit, tl


@jit
def _band(kernel, ROWS: tl.constexpr, SPAN: tl.constexpr, WIDTH: tl.constexpr, REVERSED: tl.constexpr):
    """`[ROWS, SPAN]`, kernel[j - i] or, reversed, kernel[WIDTH - 1 - (j - i)]; 0 outside the kernel."""
    position = tl.arange(0, SPAN)[None, :] - tl.arange(0, ROWS)[:, None]
    inside = (position >= 0) & (position < WIDTH)
    if REVERSED:
        position = WIDTH - 1 - position
    return tl.load(kernel + position, mask=inside, other=0.0)


@jit
def _sigmoid(x):
    """The sigmoid and its derivative, by exponentials that cannot overflow."""
    small = tl.exp(-tl.abs(x))
    part = 1.0 / (1.0 + small)
    return tl.where(x >= 0, part, small * part), small * part * part


@jit
def _real(mask, batch, rows, length, inside, HAS_MASK: tl.constexpr):
    """Which of the rows are tokens: `inside` the tile, in the sequence and not padding."""
    real = inside & (rows >= 0) & (rows < length)
    if HAS_MASK:
        real = real & (tl.load(mask + batch * length + rows, mask=real, other=0) != 0)
    return real


@jit
def _tile(program, length, heads, STEP: tl.constexpr, CHUNKS: tl.constexpr):
    """First row, chunk of channels, head and batch of a program, neighbours of which share rows.

    The batch has 64 bits, and so do offsets that are made from it: batch times N times channels may pass 2^31.
    """
    blocks = tl.cdiv(length, STEP)
    above = program // blocks
    start = program % blocks * STEP
    return start, above % CHUNKS, above // CHUNKS % heads, (above // (CHUNKS * heads)).to(tl.int64)


@jit
def _columns(chunk, head, HEAD_DIM: tl.constexpr, COLUMNS: tl.constexpr):
    """The channels of a chunk, `[COLUMNS]`, and `[1, COLUMNS]`, which of them are the head's."""
    columns = chunk * COLUMNS + tl.arange(0, COLUMNS)
    return head * HEAD_DIM + columns, (columns < HEAD_DIM)[None, :]


@jit
def _offsets(rows, columns, row_stride):
    return rows.to(tl.int64)[:, None] * row_stride + columns[None, :]


@jit
def _halves(gates, offsets, channels, keep):
    """Both halves of a tile in float32, 0 where not to `keep`: what stands there is not read."""
    left = tl.load(gates + offsets, mask=keep, other=0.0)
    right = tl.load(gates + offsets + channels, mask=keep, other=0.0)
    return left.to(tl.float32), right.to(tl.float32)


@jit
def _values(gates, offsets, channels, keep):
    left, right = _halves(gates, offsets, channels, keep)
    return left * _sigmoid(right)[0]


@jit
def convolution_kernel(
    gates, kernel, mask, output, length, heads, batch_stride, row_stride,
    HEAD_DIM: tl.constexpr, WIDTH: tl.constexpr, HAS_MASK: tl.constexpr, PRECISION: tl.constexpr,
    SPAN: tl.constexpr, ROWS: tl.constexpr, STEP: tl.constexpr, COLUMNS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """A tile of the output: the band times values."""
    start, chunk, head, batch = _tile(tl.program_id(0), length, heads, STEP, CHUNKS)
    channels = heads * HEAD_DIM
    columns, used = _columns(chunk, head, HEAD_DIM, COLUMNS)
    within, reach = tl.arange(0, ROWS), tl.arange(0, SPAN)
    rows, sources = start + within, start - WIDTH // 2 + reach

    real = _real(mask, batch, sources, length, reach < STEP + WIDTH - 1, HAS_MASK)
    offsets = batch * batch_stride + _offsets(sources, columns, row_stride)
    values = _values(gates, offsets, channels, real[:, None] & used)

    narrow = output.dtype.element_ty
    band = _band(kernel + head * WIDTH, ROWS, SPAN, WIDTH, False)
    result = tl.dot(band.to(narrow), values.to(narrow), input_precision=PRECISION)

    keep = ((within < STEP) & (rows < length))[:, None] & used
    tl.store(output + batch * length * channels + _offsets(rows, columns, channels), result, mask=keep)


@jit
def gates_gradient_kernel(
    gradient, gates, kernel, mask, output, length, heads,
    gradient_batch_stride, gradient_row_stride, batch_stride, row_stride,
    HEAD_DIM: tl.constexpr, WIDTH: tl.constexpr, HAS_MASK: tl.constexpr, PRECISION: tl.constexpr,
    SPAN: tl.constexpr, ROWS: tl.constexpr, STEP: tl.constexpr, COLUMNS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """A tile of the gradient of both halves: the reversed band times the gradient, through the GLU."""
    start, chunk, head, batch = _tile(tl.program_id(0), length, heads, STEP, CHUNKS)
    channels = heads * HEAD_DIM
    columns, used = _columns(chunk, head, HEAD_DIM, COLUMNS)
    within, reach = tl.arange(0, ROWS), tl.arange(0, SPAN)
    rows, targets = start + within, start - WIDTH // 2 + reach

    inside = (reach < STEP + WIDTH - 1) & (targets >= 0) & (targets < length)
    offsets = batch * gradient_batch_stride + _offsets(targets, columns, gradient_row_stride)
    incoming = tl.load(gradient + offsets, mask=inside[:, None] & used, other=0.0)

    narrow = output.dtype.element_ty
    band = _band(kernel + head * WIDTH, ROWS, SPAN, WIDTH, True)
    values_gradient = tl.dot(band.to(narrow), incoming.to(narrow), input_precision=PRECISION)

    real = _real(mask, batch, rows, length, within < STEP, HAS_MASK)[:, None]
    offsets = batch * batch_stride + _offsets(rows, columns, row_stride)
    left, right = _halves(gates, offsets, channels, real & used)
    gate, slope = _sigmoid(right)
    # Selected, because the product need not be 0 at padded rows.
    left_gradient = tl.where(real, values_gradient * gate, 0.0)
    right_gradient = tl.where(real, values_gradient * left * slope, 0.0)
    output += batch * length * (2 * channels)
    offsets = _offsets(rows, columns, 2 * channels)
    keep = ((within < STEP) & (rows < length))[:, None] & used
    tl.store(output + offsets, left_gradient, mask=keep)
    tl.store(output + offsets + channels, right_gradient, mask=keep)


@jit
def kernel_gradient_kernel(
    gradient, gates, mask, partial, length, heads, items, parts,
    gradient_batch_stride, gradient_row_stride, batch_stride, row_stride,
    HEAD_DIM: tl.constexpr, WIDTH: tl.constexpr, HAS_MASK: tl.constexpr, PRECISION: tl.constexpr,
    SPAN: tl.constexpr, ROWS: tl.constexpr, STEP: tl.constexpr, COLUMNS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """One of `parts` sums of a head's products over its `items` tiles.

    It is stored with diagonals as columns, `[STEP, WIDTH]`: the sum of all rows of all parts is the gradient.
    """
    program = tl.program_id(0)
    head = program // parts
    channels = heads * HEAD_DIM
    within, reach = tl.arange(0, ROWS), tl.arange(0, SPAN)
    products = tl.zeros((ROWS, SPAN), tl.float32)
    share = tl.cdiv(items, parts)
    first = program % parts * share
    for item in range(first, tl.minimum(first + share, items)):
        start, chunk, _, batch = _tile(item, length, 1, STEP, CHUNKS)
        columns, used = _columns(chunk, head, HEAD_DIM, COLUMNS)
        rows, sources = start + within, start - WIDTH // 2 + reach

        inside = (within < STEP) & (rows < length)
        offsets = batch * gradient_batch_stride + _offsets(rows, columns, gradient_row_stride)
        incoming = tl.load(gradient + offsets, mask=inside[:, None] & used, other=0.0)

        real = _real(mask, batch, sources, length, reach < STEP + WIDTH - 1, HAS_MASK)
        offsets = batch * batch_stride + _offsets(sources, columns, row_stride)
        values = _values(gates, offsets, channels, real[:, None] & used).to(incoming.dtype)
        products = tl.dot(incoming, tl.trans(values), products, input_precision=PRECISION)

    position = reach[None, :] - within[:, None]
    keep = (position >= 0) & (position < WIDTH) & (within < STEP)[:, None]
    partial += program.to(tl.int64) * (STEP * WIDTH)
    tl.store(partial + within[:, None] * WIDTH + position, products, mask=keep)
