"""Triton kernels as operators of torch: what knows of the interpreter and of `torch.library` stands here once.

A module of kernels takes `jit`, `tl` and `wrap_triton` from here, so that it imports where Triton is not installed.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


def _undecorated(function: Any) -> Any:
    return function


triton: Any
tl: Any
try:
    import triton  # type: ignore[import-untyped, no-redef]
    import triton.language as tl  # type: ignore[import-untyped, no-redef]

    jit = triton.jit
except ImportError:
    triton, tl, jit = None, SimpleNamespace(constexpr=None), _undecorated

# Triton decides when a kernel is decorated, so setting the variable later changes nothing.
INTERPRETING = triton is not None and bool(triton.knobs.runtime.interpret)


def wrap_triton(kernel: Any) -> Any:
    """A kernel to launch inside a registered operator.

    Keeps the name of torch's function: torch finds the kernels of an operator by reading its source for that name.

    Raises:
        RuntimeError: Triton is not installed.
    """
    if triton is None:
        raise RuntimeError("Triton is not installed: install it, or use the eager backend")
    return kernel if INTERPRETING else torch.library.wrap_triton(kernel)


def interpretable(x: Tensor) -> Tensor:
    """x, and under the interpreter bfloat16 in float32.

    Triton's interpreter holds bfloat16 as integers: loads and stores move the right bits, but sums and products are
    those of the integers, and narrowing to bfloat16 cuts off where a GPU rounds. So kernels get float32 there, and
    the caller narrows their result with torch.
    """
    return x.float() if INTERPRETING and x.dtype == torch.bfloat16 else x


def rows_contiguous(x: Tensor) -> Tensor:
    """x with adjacent elements in its last dimension, copied only where they are not."""
    return x if x.stride(-1) == 1 else x.contiguous()


def on_device(x: Tensor) -> AbstractContextManager[Any]:
    """Makes the device of x the current one, where a kernel launched by hand goes."""
    if x.is_cuda and torch.cuda.device_count() > 1:
        return torch.cuda.device(x.device)
    return nullcontext()


def dot_precision(dtype: torch.dtype) -> str:
    """`input_precision` of a kernel's products: torch's own setting for those of float32."""
    # Not `allow_tf32`, which raises where the newer setting was used.
    tf32 = dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32"
    return "tf32" if tf32 else "ieee"


def register_operator(
    function: Callable[..., Any],
    fake: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    save: Callable[..., None] | None = None,
) -> Any:
    """Register a function of tensors that launches kernels, as an operator that torch compiles and exports.

    Args:
        function: annotated as `torch.library.infer_schema` asks; changes no argument and returns new tensors; launches
            through `wrap_triton`.
        fake: the same arguments to empty results of the right shape, type and strides.
        backward: `(context, *gradients)` to the gradients of the arguments; without it a derivative is an error.
        save: `(context, inputs, output)`, keeps what `backward` needs.

    Returns:
        The operator, to call like the function.
    """
    # `triton_op` shows the kernels to the compiler, which cannot take interpreted ones.
    register: Any = torch.library.custom_op if INTERPRETING or triton is None else torch.library.triton_op
    operator = register(_free_name(function), function, mutates_args=())
    operator.register_fake(fake)
    operator.register_autograd(backward or _no_derivative(function.__name__), setup_context=save)
    return operator


def _free_name(function: Callable[..., Any]) -> str:
    """A name after the function's module: the copies of a module in two emitted models are two sets of operators.

    Registering a name again would destroy the operator that the first module still calls, so a module that is loaded
    twice gets numbered names.
    """
    space, name = re.sub(r"\W", "_", function.__module__), function.__name__.strip("_")
    taken, count = getattr(torch.ops, space), 1
    free = name
    while hasattr(taken, free):
        count += 1
        free = f"{name}_{count}"
    return f"{space}::{free}"


def _no_derivative(name: str) -> Callable[..., Any]:
    def backward(context: Any, *gradients: Tensor) -> Any:
        raise NotImplementedError(f"{name.strip('_')} has no derivative: for second derivatives use the eager backend")

    return backward
