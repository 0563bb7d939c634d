"""Linear maps by the library whose matrix product is the faster one on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# oneDNN's product. `F.linear` takes MKL's in float32, which leaves half of an AMD processor's vector width unused:
# 90 GFLOP/s for 200 on one thread. Its call costs more than it saves on a few rows.
_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)
MIN_ROWS = 16


class Linear(nn.Linear):
    """`nn.Linear`; float32 on a CPU goes to oneDNN, forward and backward."""

    def forward(self, input: Tensor) -> Tensor:
        """`[..., in_features]` to `[..., out_features]`."""
        if torch.compiler.is_compiling() or not self._fits(input):
            return super().forward(input)
        output: Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return output

    def _fits(self, input: Tensor) -> bool:
        return (
            _AVAILABLE
            and input.device.type == "cpu"
            and input.dtype == self.weight.dtype == torch.float32
            and input.numel() >= MIN_ROWS * self.in_features
            and not torch.is_autocast_enabled("cpu")
            and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        )


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """`left right^T + bias`."""
    output: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return output


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _product(input, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], inputs[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        input_gradient = weight_gradient = bias_gradient = None
        if ctx.needs_input_grad[0]:
            input_gradient = _product(rows, weight.t()).view(input.shape)
        if ctx.needs_input_grad[1]:
            weight_gradient = _product(rows.t(), input.reshape(-1, input.shape[-1]).t())
        if ctx.needs_input_grad[2]:
            bias_gradient = rows.sum(0)
        return input_gradient, weight_gradient, bias_gradient
