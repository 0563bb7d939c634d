"""Generated kernels as functions to check: on a GPU where there is one, in Triton's interpreter elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

import numpy as np
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

from autobertc.dsl.graph import Program  # noqa: E402
from autobertc.runtime.kernels import load_fused  # noqa: E402

_numbers = count(1)


def _dot(self, a, b, d, input_precision, max_num_imprecise_acc):
    product = np.matmul(a.data.astype(np.float64), b.data.astype(np.float64)) + d.data
    return interpreter.TensorHandle(product.astype(d.data.dtype), d.dtype.scalar)


if DEVICE == "cpu":
    from triton.runtime import interpreter

    # The order of the sums inside a product of tiles is the device's. The interpreter's, one term after the other in
    # float32, is alone over the budget for some forty terms of one sign; it is no part of a kernel.
    interpreter.InterpreterBuilder.create_dot = _dot


def fused_function(program: Program) -> Callable[..., torch.Tensor]:
    """A program's kernels as a function `f(*inputs, mask, dropout_p)` of tensors on the CPU."""
    fused = load_fused(program, f"program_{next(_numbers)}")

    def function(*arguments):
        *tensors, dropout_p = arguments
        moved = [tensor if tensor is None else tensor.to(DEVICE) for tensor in tensors]
        return fused(*moved, dropout_p).cpu()

    return function
