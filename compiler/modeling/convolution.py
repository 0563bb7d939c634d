"""The convolution layer: lightweight convolution with a gated linear unit (Wu et al., ICLR 2019)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backends import run
from .configuration import BackboneConfig
from .linear import Linear
from .residual import ResidualOutput

# From this width on the kernel's gradient is a band of a matrix product (`_kernel_gradient`), below it the
# library's. Measured on a CPU, one thread, float32, batch 8, 4 heads of 64 channels; milliseconds for forward
# and backward, library / band:
#     width      9          15         31          65
#     N = 128    1.0 / 1.0  2.3 / 1.5  3.3 / 2.9   5.4 / 3.5
#     N = 512    4.8 / 6.8  19 / 9     34 / 11     64 / 12
BAND_GRADIENT_FROM = 15
BAND_BLOCK = 32  # rows of a block; 16 was as fast up to width 31, 64 and 128 were slower


class SelfConvolution(nn.Module):
    """Linear map to twice the width, GLU, and a depthwise convolution along the sequence.

    One kernel a head, shared by the head's channels: channel c has kernel `c // (channels / heads)`. Kernels
    are normalised by softmax over their width.
    """

    def __init__(self, config: BackboneConfig, kernel_size: int) -> None:
        super().__init__()
        self.input = Linear(config.hidden_size, 2 * config.hidden_size)
        self.kernel = nn.Parameter(torch.empty(config.num_attention_heads, 1, kernel_size))
        self.kernel_dropout_p = config.kernel_dropout_prob
        self.backend = config.backend

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, N, hidden]`, mask `[batch, N]` (bool, True for real tokens) or None, to the former."""
        gates = self.input(hidden_states)
        kernel = F.softmax(self.kernel, dim=-1)
        kernel = F.dropout(kernel, self.kernel_dropout_p, self.training)  # DropConnect: not normalised again
        kernel = kernel.squeeze(1).to(gates.dtype)
        return run(self.backend, gated_convolution, _kernels, (gates, kernel), mask)


class Convolution(nn.Module):
    """`SelfConvolution` and the residual connection around it."""

    def __init__(self, config: BackboneConfig, kernel_size: int) -> None:
        super().__init__()
        self.self = SelfConvolution(config, kernel_size)
        self.output = ResidualOutput(config, config.hidden_size)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, N, hidden]` to the same."""
        output: Tensor = self.output(self.self(hidden_states, mask), hidden_states)
        return output


def gated_convolution(gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    """GLU, padded tokens to zero, depthwise convolution: `[batch, N, 2C]`, kernel `[H, K]`, to `[batch, N, C]`."""
    values = F.glu(gates, dim=-1)
    if mask is not None:  # after the linear map, whose bias would fill padded rows again
        values = values.masked_fill(~mask[..., None], 0)
    return depthwise_convolution(values, kernel)


def _kernels() -> Callable[..., Tensor]:
    """The same in fused kernels, which are imported where they are used."""
    from .triton_convolution import gated_convolution

    function: Callable[..., Tensor] = gated_convolution
    return function


def depthwise_convolution(values: Tensor, kernel: Tensor) -> Tensor:
    """`y[b, n, c] = sum_k kernel[c // (C / H), k] * values[b, n + k - K // 2, c]`, zero outside the sequence.

    Args:
        values: `[batch, N, C]`.
        kernel: `[H, K]`, K odd; it may be wider than the sequence.

    Returns:
        `[batch, N, C]`.
    """
    # The compiler (torch 2.13) warns of a deprecated call of its own when it meets a Function.
    if kernel.shape[-1] < BAND_GRADIENT_FROM or torch.compiler.is_compiling():
        return _channels_last(values, kernel)
    output: Tensor = _DepthwiseConvolution.apply(values, kernel)  # type: ignore[no-untyped-call]
    return output


def _channels_last(values: Tensor, kernel: Tensor) -> Tensor:
    """The definition as one library call.

    As a 2-D convolution of channels-last images of height 1 it copies nothing, and on a CPU it takes a
    fraction of the time of `conv1d` on `[batch, C, N]`: 0.3 ms for 0.5 at K = 7, 0.5 for 11 at 65 (N = 128).
    """
    channels, (heads, width) = values.shape[-1], kernel.shape
    weight = kernel.repeat_interleave(channels // heads, dim=0)[:, None, None]
    image = values.transpose(1, 2).unsqueeze(2)
    return F.conv2d(image, weight, padding=(0, width // 2), groups=channels).squeeze(2).transpose(1, 2)


class _DepthwiseConvolution(torch.autograd.Function):
    """`_channels_last`, with a gradient for wide kernels, where the library's is slow."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(values, kernel)
        return _channels_last(values, kernel)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        values, kernel = ctx.saved_tensors
        values_gradient = kernel_gradient = None
        if ctx.needs_input_grad[0]:  # the same convolution with the kernels turned round
            values_gradient = _channels_last(gradient, kernel.flip(-1))
        if ctx.needs_input_grad[1]:
            kernel_gradient = _kernel_gradient(values, gradient, *kernel.shape)
        return values_gradient, kernel_gradient


def _kernel_gradient(values: Tensor, gradient: Tensor, heads: int, width: int) -> Tensor:
    """The gradient of the kernel, `[heads, K]`: `gradient[b, n, c] * values[b, n + k - K // 2, c]`, summed.

    A block of L rows of `gradient` meets L + K - 1 rows of `values`. All their products are one matrix
    product a head, contracted over batch, blocks and channels; entry (l, l + k) belongs to kernel position k.
    """
    batch, length, channels = values.shape
    blocks = (length + BAND_BLOCK - 1) // BAND_BLOCK
    tail = blocks * BAND_BLOCK - length
    span = BAND_BLOCK + width - 1
    rows = F.pad(gradient, (0, 0, 0, tail)).view(batch, blocks, BAND_BLOCK, heads, channels // heads)
    rows = rows.permute(3, 2, 0, 1, 4).reshape(heads, BAND_BLOCK, -1)
    windows = F.pad(values, (0, 0, width // 2, tail + width // 2)).unfold(1, span, BAND_BLOCK)
    windows = windows.reshape(batch, blocks, heads, channels // heads, span)
    windows = windows.permute(2, 4, 0, 1, 3).reshape(heads, span, -1)
    band = torch.bmm(rows, windows.mT)
    # Read in rows of span + 1, a diagonal is a column.
    return F.pad(band.flatten(1), (0, BAND_BLOCK)).view(heads, BAND_BLOCK, span + 1)[..., :width].sum(1)
