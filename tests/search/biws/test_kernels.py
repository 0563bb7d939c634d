"""The kernel chain."""

from __future__ import annotations

import pytest
import torch
from biws import SIZES

from autobertc.compiler.modeling.configuration import BackboneConfig
from autobertc.compiler.modeling.convolution import SelfConvolution
from autobertc.search.biws.kernels import WIDTHS, KernelChain, attach_chain, centre, chains, decay_taps, undecayed


def wide_kernel() -> torch.Tensor:
    return torch.randn(2, 1, 65, generator=torch.Generator().manual_seed(0))


def test_the_chain_is_the_published_one() -> None:
    assert WIDTHS == (65, 31, 15, 9, 7, 5, 3)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_starts_as_a_centre_crop(width: int) -> None:
    wide = wide_kernel()
    chain = KernelChain(width)
    assert sorted(chain.matrices) == sorted(str(k) for k in WIDTHS[1:] if k >= width)
    narrow = chain(wide)
    assert torch.equal(narrow, wide[..., 32 - width // 2 : 33 + width // 2])


def test_it_multiplies_on_the_way() -> None:
    chain = KernelChain(15)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for matrix in chain.matrices.values():
            matrix.copy_(torch.randn(matrix.shape, generator=generator))
    wide = wide_kernel()
    by_31 = torch.einsum("ij,hcj->hci", chain.matrices["31"], wide[..., 17:48])
    expected = torch.einsum("ij,hcj->hci", chain.matrices["15"], by_31[..., 8:23])
    torch.testing.assert_close(chain(wide), expected)


def layer(width: int) -> SelfConvolution:
    config = BackboneConfig(vocab_size=SIZES.vocab, hidden_size=16, num_attention_heads=2, intermediate_size=24)
    module = SelfConvolution(config, width)
    torch.nn.init.normal_(module.kernel)
    return module


def test_attached_to_a_layer_it_keeps_its_kernel() -> None:
    module = layer(9)
    before = module.kernel.detach().clone()
    attach_chain(module, 9)
    assert torch.equal(module.kernel, before)
    [(wide, chain)] = chains(module)
    assert wide.shape == (2, 1, 65) and chain.width == 9 and set(undecayed(module)) >= {wide}


def test_weight_decay_leaves_unused_taps_and_matrices() -> None:
    module = layer(7)
    attach_chain(module, 7)
    [(wide, chain)] = chains(module)
    with torch.no_grad():
        wide.copy_(wide_kernel())
    before, matrices = wide.detach().clone(), {k: m.detach().clone() for k, m in chain.matrices.items()}
    decay_taps(module, 0.1)
    torch.testing.assert_close(centre(wide, 7), 0.9 * centre(before, 7))
    outside = torch.ones(65, dtype=torch.bool)
    outside[29:36] = False
    assert torch.equal(wide[..., outside], before[..., outside])
    assert all(torch.equal(chain.matrices[k], matrix) for k, matrix in matrices.items())
