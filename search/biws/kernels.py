"""The kernel chain: seven widths out of one kernel of width 65 (as in Once-for-All, Cai et al. 2020).

A kernel of width k is the centre of the next wider one times a learnt k x k matrix, 65 -> 31 -> 15 -> 9 -> 7 -> 5 -> 3;
all heads of a layer share its matrices, which start as the identity. The chain ends before the softmax over the width.
A candidate trains the wide kernel and the matrices through the chain, so nothing has to be inverted to keep them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from autobertc.compiler.modeling.convolution import SelfConvolution
from autobertc.dsl.architecture import KERNEL_SIZES

WIDTHS = tuple(sorted(KERNEL_SIZES, reverse=True))
"""65, 31, 15, 9, 7, 5, 3."""
WIDEST = WIDTHS[0]


def centre(kernel: Tensor, width: int) -> Tensor:
    """The middle of the last dimension, `[..., wider]` to `[..., width]`; both widths are odd."""
    start = (kernel.shape[-1] - width) // 2
    return kernel[..., start : start + width]


class KernelChain(nn.Module):
    """`[heads, 1, 65]` to `[heads, 1, width]`.

    Attributes:
        width: of the result; may be changed to any that the chain has matrices for.
        matrices: `[k, k]` for each width k below 65 and down to the narrowest, under the name "k".
    """

    def __init__(self, width: int, narrowest: int | None = None) -> None:
        super().__init__()
        self.width = width
        last = width if narrowest is None else narrowest
        self.matrices = nn.ParameterDict({str(k): torch.eye(k) for k in WIDTHS[1:] if k >= last})

    def forward(self, kernel: Tensor) -> Tensor:
        for width in WIDTHS[1:]:
            if width < self.width:
                break
            kernel = centre(kernel, width) @ self.matrices[str(width)].T
        return kernel


def attach_chain(convolution: SelfConvolution, width: int, narrowest: int | None = None) -> KernelChain:
    """Make a layer's kernel the chain's result, out of a new parameter of width 65 (the old values in its centre)."""
    chain = KernelChain(width, narrowest)
    wide = convolution.kernel.new_zeros(*convolution.kernel.shape[:-1], WIDEST)
    centre(wide, convolution.kernel.shape[-1]).copy_(convolution.kernel.detach())
    convolution.kernel = nn.Parameter(wide)
    parametrize.register_parametrization(convolution, "kernel", chain, unsafe=True)  # another shape than its own
    return chain


def chains(model: nn.Module) -> Iterator[tuple[nn.Parameter, KernelChain]]:
    """Each wide kernel of a model and its chain."""
    for module in model.modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], KernelChain):
            original = module.original
            assert isinstance(original, nn.Parameter)
            yield original, module[0]


def undecayed(model: nn.Module) -> list[nn.Parameter]:
    """What weight decay must leave alone: matrices, which are no weights near 0, and wide kernels, of which only the
    taps in use decay (`decay_taps`)."""
    return [parameter for kernel, chain in chains(model) for parameter in (kernel, *chain.matrices.values())]


@torch.no_grad()
def decay_taps(model: nn.Module, rate: float) -> None:
    """One step of weight decay on the centre taps of each wide kernel, as many as the candidate's kernel has."""
    for kernel, chain in chains(model):
        centre(kernel, chain.width).mul_(1 - rate)
