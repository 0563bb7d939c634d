"""The lightweight convolution against its definition, written out."""

import pytest
import torch

from autobertc.compiler.modeling.configuration import BackboneConfig
from autobertc.compiler.modeling.convolution import SelfConvolution, depthwise_convolution

KERNEL_SIZES = (3, 5, 7, 9, 15, 31, 65)


def layer(kernel_size, dtype=torch.float64, rate=0.0):
    """A convolution of 3 heads of 4 channels with random weights."""
    torch.manual_seed(kernel_size)
    config = BackboneConfig(hidden_size=12, num_attention_heads=3, kernel_dropout_prob=rate)
    module = SelfConvolution(config, kernel_size)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return module.to(dtype)


def written_out(module, hidden_states, mask):
    """The definition, one output at a time."""
    batch, length, channels = hidden_states.shape
    heads, _, width = module.kernel.shape
    projected = hidden_states @ module.input.weight.T + module.input.bias
    values = projected[..., :channels] * torch.sigmoid(projected[..., channels:])
    kernel = torch.exp(module.kernel[:, 0]) / torch.exp(module.kernel[:, 0]).sum(-1, keepdim=True)
    rows = []
    for b in range(batch):
        for n in range(length):
            row = torch.zeros(channels, dtype=hidden_states.dtype)
            for k in range(width):
                source = n + k - width // 2
                if 0 <= source < length and (mask is None or mask[b, source]):
                    weights = torch.stack([kernel[c // (channels // heads), k] for c in range(channels)])
                    row = row + weights * values[b, source]
            rows.append(row)
    return torch.stack(rows).view(batch, length, channels)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
def test_equals_the_definition(kernel_size, padded):
    """Values and all gradients; the 11 tokens are fewer than the kernel's width from 15 on."""
    module = layer(kernel_size)
    hidden_states = torch.randn(2, 11, 12, dtype=torch.float64, requires_grad=True)
    mask = None
    if padded:
        mask = torch.ones(2, 11, dtype=torch.bool)
        mask[0, 8:] = mask[1, 0] = mask[1, 5] = False
    incoming = torch.randn(2, 11, 12, dtype=torch.float64)
    if mask is not None:
        incoming = incoming * mask[..., None]
    inputs = [hidden_states, *module.parameters()]
    expected = written_out(module, hidden_states, mask)
    expected_gradients = torch.autograd.grad(expected, inputs, incoming)
    found = module(hidden_states, mask)
    gradients = torch.autograd.grad(found, inputs, incoming)
    torch.testing.assert_close(found, expected)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)
    if mask is not None:
        assert not gradients[0][~mask].any()


@pytest.mark.parametrize("length", [1, 31, 32, 33, 70])
@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
def test_gradient_of_the_kernel_at_block_edges(kernel_size, length):
    """The band product agrees with the sum it stands for, whatever the last block's size."""
    torch.manual_seed(0)
    values = torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(3, kernel_size, dtype=torch.float64, requires_grad=True)
    incoming = torch.randn(2, length, 6, dtype=torch.float64)
    found = torch.autograd.grad(depthwise_convolution(values, kernel), (values, kernel), incoming)
    side = kernel_size // 2
    shifted = torch.nn.functional.pad(values, (0, 0, side, side)).unfold(1, kernel_size, 1)
    expected = (shifted * kernel.repeat_interleave(2, dim=0)).sum(-1)
    torch.testing.assert_close(depthwise_convolution(values, kernel), expected)
    expected_gradients = torch.autograd.grad(expected, (values, kernel), incoming)
    for gradient, expected_gradient in zip(found, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kernel_size", [3, 15])
def test_narrow_types(kernel_size, dtype):
    module, exact = layer(kernel_size, dtype), layer(kernel_size)
    hidden_states = torch.randn(2, 20, 12, dtype=torch.float64)
    narrow = hidden_states.to(dtype).requires_grad_()
    hidden_states.requires_grad_()
    found, expected = module(narrow), exact(hidden_states)
    found.float().pow(2).sum().backward()
    expected.pow(2).sum().backward()
    # Not a budget: only that nothing is wrong by more than rounding in a chain of a few operations.
    tolerance = 50 * torch.finfo(dtype).eps
    for ours, theirs in [
        (found, expected),
        (narrow.grad, hidden_states.grad),
        (module.kernel.grad, exact.kernel.grad),
    ]:
        assert (ours.double() - theirs).abs().max() < tolerance * theirs.abs().max()


@pytest.mark.parametrize("kernel_size", [3, 15])
def test_autocast(kernel_size):
    module = layer(kernel_size, torch.float32)
    hidden_states = torch.randn(2, 20, 12, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(hidden_states)
    output.float().sum().backward()
    assert output.dtype == torch.bfloat16
    assert module.kernel.grad.dtype == torch.float32


def test_drop_connect():
    """One mask of the weights for the whole forward; what is kept is scaled, not normalised again."""
    module = layer(5, rate=0.5).train()
    with torch.no_grad():
        module.kernel.zero_()
        module.input.weight.zero_()
        module.input.bias.copy_(torch.tensor([2.0] * 12 + [0.0] * 12))  # GLU gives 1
    outputs = module(torch.randn(4, 9, 12, dtype=torch.float64))[:, 4]
    assert (outputs == outputs[0]).all()
    kept = outputs / (2 * 0.2)
    torch.testing.assert_close(kept, kept.round())
    module.eval()
    torch.testing.assert_close(
        module(torch.randn(1, 9, 12, dtype=torch.float64))[:, 4], torch.ones(1, 12, dtype=torch.float64)
    )


def test_frozen_kernel_and_frozen_input():
    module = layer(9)
    hidden_states = torch.randn(1, 6, 12, dtype=torch.float64)
    module.kernel.requires_grad_(False)
    module(hidden_states).sum().backward()
    assert module.kernel.grad is None and module.input.weight.grad is not None
    module = layer(9)
    module.input.requires_grad_(False)
    module(hidden_states).sum().backward()
    assert module.kernel.grad is not None and module.input.weight.grad is None
