"""What runs a program or a convolution: plain PyTorch, or fused kernels.

`eager` is PyTorch everywhere. `triton` is kernels everywhere, in Triton's interpreter where there is no GPU and it is
asked for. `auto` is PyTorch on a CPU; on a GPU whichever of the two was faster, forward and backward, when first tried
on tensors of that kind (tuning.py), so that a library's attention serves where it is the fastest.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .operators import triton
from .tuning import milliseconds, tuned

Function = Callable[..., Tensor]


def run(
    backend: str, eager: Function, kernels: Callable[[], Function] | None, tensors: tuple[Tensor, ...], *rest: Any
) -> Tensor:
    """`function(*tensors, *rest)` by the backend.

    Args:
        backend: one of `BACKENDS` (configuration.py).
        eager: the function in PyTorch.
        kernels: gives the function in kernels; None where there are none.
        tensors: those that are differentiated, all on one device; `rest` are not.

    Raises:
        RuntimeError: kernels are asked for and there are none, or they cannot run on the device.
    """
    if backend == "eager" or (backend == "auto" and not _can_use_kernels(tensors[0], kernels)):
        return eager(*tensors, *rest)
    if kernels is None:
        raise RuntimeError("the model was compiled without kernels: compile it with --backend triton, or auto")
    fused = kernels()
    if backend == "triton":
        return fused(*tensors, *rest)
    return _faster(eager, fused, tensors, rest)(*tensors, *rest)


def _can_use_kernels(tensor: Tensor, kernels: Callable[[], Function] | None) -> bool:
    return kernels is not None and triton is not None and tensor.is_cuda


def _faster(eager: Function, fused: Function, tensors: tuple[Tensor, ...], rest: tuple[Any, ...]) -> Function:
    """The function that took less time for tensors of this kind; kernels under a compiler, where nothing is timed."""
    first = tensors[0]
    if torch.compiler.is_compiling() or type(first) is not Tensor:
        return fused
    trained = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    shape = (*first.shape[:-2], 1 << (first.shape[-2] - 1).bit_length(), first.shape[-1])
    given = tuple(other is not None if isinstance(other, Tensor | None) else other for other in rest)
    key = ("backend", getattr(fused, "key", ""), torch.cuda.get_device_name(first.device), first.dtype, shape, given)
    names = ("triton", "eager")
    functions = {"triton": fused, "eager": eager}

    def attempt(name: str) -> None:
        with torch.enable_grad() if trained else torch.no_grad():
            leaves = [tensor.detach().requires_grad_(trained) for tensor in tensors]
            result = functions[name](*leaves, *rest)
            if trained:
                torch.autograd.grad(result, leaves, torch.ones_like(result), allow_unused=True)

    return functions[tuned((*key, trained), names, attempt, getattr(fused, "name", "kernels"), milliseconds)]
