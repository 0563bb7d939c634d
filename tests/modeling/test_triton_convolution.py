"""The convolution's Triton kernels, interpreted, against the eager layer in float64."""

# ruff: noqa: E402

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Triton reads it whenever it decorates a function, and has decorated its own once it is imported.
if "triton" not in sys.modules:
    os.environ["TRITON_INTERPRET"] = "1"
triton = pytest.importorskip("triton")
if type(triton.language.sigmoid).__name__ != "InterpretedFunction":
    pytest.skip("Triton was imported for a GPU before this file", allow_module_level=True)

import torch
import torch.nn.functional as F

from autobertc.compiler.modeling import triton_convolution
from autobertc.compiler.modeling.convolution import depthwise_convolution
from autobertc.compiler.modeling.triton_convolution import DTYPES, KERNELS, Config, gated_convolution

WIDTHS = (3, 5, 7, 9, 15, 31, 65)


def eager(gates, kernel, mask):
    """What the layer computes between its linear map and its residual connection."""
    values = F.glu(gates, dim=-1)
    if mask is not None:
        values = values.masked_fill(~mask[..., None], 0)
    return depthwise_convolution(values, kernel)


def inputs(batch, length, heads, head_dim, width, dtype=torch.float32):
    """Gates, kernel and incoming gradient."""
    torch.manual_seed(length)
    gates = torch.randn(batch, length, 2 * heads * head_dim).to(dtype)
    kernel = torch.softmax(torch.randn(heads, width), dim=-1).to(dtype)
    return gates, kernel, torch.randn(batch, length, heads * head_dim).to(dtype)


def holes(length):
    """Padding at the end, holes, padding at the start, and a sequence with nothing real."""
    mask = torch.rand(4, length) < 0.7
    mask[0] = torch.arange(length) < length // 2
    mask[2] = torch.arange(length) >= length // 3
    mask[3] = False
    return mask


def run(function, gates, kernel, mask, incoming):
    """The result and the gradients of gates and kernel."""
    gates, kernel = (x.detach().requires_grad_() for x in (gates, kernel))
    output = function(gates, kernel, mask)
    return [output.detach(), *torch.autograd.grad(output, (gates, kernel), incoming)]


def largest_terms(gates, kernel, mask, incoming):
    """The largest magnitude that a term of each sum may have."""
    left, right = gates.chunk(2, dim=-1)
    gate = torch.sigmoid(right)
    values, slopes = left * gate, left * gate * (1 - gate)
    if mask is not None:
        values, slopes = (x.masked_fill(~mask[..., None], 0) for x in (values, slopes))
    value, weight, gradient = (x.abs().max() for x in (values, kernel, incoming))
    return [value * weight, weight * gradient * slopes.abs().max().clamp_min(1), value * gradient]


def check(gates, kernel, mask, incoming, function=gated_convolution):
    """Within twice the error of the eager layer in the same type and an ulp of the largest term; repeatable."""
    given = gates
    if mask is not None:
        given = gates.clone()
        garbage = torch.tensor([1e30, -1e30, float("inf"), float("nan")]).to(gates.dtype)
        given[~mask] = garbage[torch.arange(gates.shape[-1]) % 4]
        gates = gates.masked_fill(~mask[..., None], 0)
    found = run(function, given, kernel, mask, incoming)
    plain = run(eager, gates, kernel, mask, incoming)
    wide = gates.double(), kernel.double(), mask, incoming.double()
    exact, terms = run(eager, *wide), largest_terms(*wide)
    eps = torch.finfo(gates.dtype).eps
    for name, ours, theirs, want, term in zip(("value", *KERNELS), found, plain, exact, terms, strict=False):
        assert ours.dtype == gates.dtype and ours.shape == want.shape
        size = max(want.abs().max(), term)
        budget = 2 * ((theirs.double() - want).abs().max() + eps * size)
        error = (ours.double() - want).abs().max()
        assert error <= budget, f"{name}: error {error:.2e} over {budget:.2e}"
    if mask is not None:
        assert not found[1][~mask].any()
    return found


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_equals_the_eager_layer_with_padding(width, dtype):
    """Two tiles a sequence, the second one partly filled; garbage under the mask."""
    gates, kernel, incoming = inputs(4, 70, 2, 12, width, dtype)
    check(gates, kernel, holes(70), incoming)


@pytest.mark.parametrize("length", [1, 2, 29, 64, 129])
@pytest.mark.parametrize("width", [3, 65])
def test_lengths(width, length):
    gates, kernel, incoming = inputs(1, length, 1, 16, width)
    check(gates, kernel, None, incoming)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("head_dim", [1, 20, 80, 130])
def test_channels_of_a_head(head_dim, dtype):
    """Fewer than a product takes, no power of two, more than a tile has."""
    gates, kernel, incoming = inputs(1, 9, 2, head_dim, 5, dtype)
    check(gates, kernel, None, incoming)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_every_configuration(dtype):
    gates, kernel, incoming = inputs(2, 140, 1, 16, 31, dtype)
    mask = torch.rand(2, 140) < 0.7
    expected = run(gated_convolution, gates, kernel, mask, incoming)
    for name, function, arguments, want in (
        ("convolution", triton_convolution.convolve, (gates, kernel, mask), expected[0]),
        ("gates_gradient", triton_convolution.differentiate_gates, (incoming, gates, kernel, mask), expected[1]),
        ("kernel_gradient", triton_convolution.differentiate_kernel, (incoming, gates, kernel, mask), expected[2]),
    ):
        for config in triton_convolution.candidates(name, dtype, 31)[1:]:
            found = function(*arguments, config)
            assert (found - want).abs().max() <= 2 * torch.finfo(dtype).eps * want.abs().max()


def test_a_chosen_configuration_is_taken(monkeypatch):
    chosen = Config(32, 16, 16, 1)
    monkeypatch.setattr(triton_convolution, "choose_config", lambda name, gates, kernel, launch: chosen)
    gates, kernel, incoming = inputs(1, 40, 1, 16, 3)
    check(gates, kernel, None, incoming)


def test_all_widths_have_configurations():
    for dtype in DTYPES.values():
        for name in KERNELS:
            for width in range(3, 66, 2):
                assert all(config.step(width) > 0 for config in triton_convolution.candidates(name, dtype, width))
                assert triton_convolution.candidates(name, dtype, width)


def test_two_runs_agree_bit_for_bit():
    gates, kernel, incoming = inputs(3, 70, 2, 12, 9, torch.float16)
    mask = torch.rand(3, 70) < 0.7
    first, second = (run(gated_convolution, gates, kernel, mask, incoming) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_parts_of_the_kernels_gradient(monkeypatch):
    """Nine tiles for seven programs: some have two, one has one, and the last two have none."""
    monkeypatch.setattr(triton_convolution, "PROGRAMS", 7)
    gates, kernel, incoming = inputs(3, 70, 1, 16, 7)
    check(gates, kernel, None, incoming)


def test_strides():
    """Gates that are a view, an incoming gradient that is one number, a mask that is expanded."""
    whole, kernel, _ = inputs(9, 2, 2, 24, 5)
    gates = whole.transpose(0, 1)[..., 5:53]
    check(gates, kernel, torch.arange(9)[None].expand(2, 9) > 2, torch.tensor(0.5).expand(2, 9, 24))
    check(whole.permute(1, 2, 0)[:, :48, :8].contiguous().mT[..., :48], kernel, None, torch.ones(2, 8, 24))


def test_a_kernel_of_another_type():
    """As under autocast: gates are narrow, parameters are not."""
    gates, kernel, incoming = inputs(1, 9, 2, 4, 5)
    found = run(gated_convolution, gates.bfloat16(), kernel, None, incoming.bfloat16())
    assert [x.dtype for x in found] == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_frozen_inputs():
    gates, kernel, _ = inputs(1, 9, 2, 4, 5)
    gated_convolution(gates, kernel.requires_grad_()).sum().backward()
    assert kernel.grad is not None
    gated_convolution(gates.requires_grad_(), kernel.detach()).sum().backward()
    assert gates.grad is not None


@pytest.mark.parametrize("padded", [False, True])
def test_the_operators_are_registered_as_torch_asks(padded):
    gates, kernel, incoming = inputs(2, 7, 3, 4, 5)
    mask = torch.rand(2, 7) < 0.7 if padded else None
    torch.library.opcheck(triton_convolution.GATES_GRADIENT, (incoming, gates, kernel, mask))
    torch.library.opcheck(triton_convolution.KERNEL_GRADIENT, (incoming, gates, kernel, mask))
    torch.library.opcheck(triton_convolution.GATED_CONVOLUTION, (gates.requires_grad_(), kernel.requires_grad_(), mask))


def test_compiles_and_exports_as_one_graph():
    gates, kernel, incoming = inputs(2, 7, 3, 4, 5)
    mask = torch.rand(2, 7) < 0.7
    compiled = torch.compile(gated_convolution, fullgraph=True, backend="aot_eager")
    expected = run(gated_convolution, gates, kernel, mask, incoming)
    for one, other in zip(run(compiled, gates, kernel, mask, incoming), expected, strict=True):
        assert torch.equal(one, other)

    class Layer(torch.nn.Module):
        def forward(self, gates, kernel, mask):
            return gated_convolution(gates, kernel, mask)

    exported = torch.export.export(Layer(), (gates, kernel, mask))
    assert torch.equal(exported.module()(gates, kernel, mask), expected[0])


def test_a_second_derivative_is_an_error():
    gates, kernel, _ = inputs(1, 5, 1, 4, 3)
    gates.requires_grad_()
    (gradient,) = torch.autograd.grad(gated_convolution(gates, kernel).square().sum(), gates, create_graph=True)
    with pytest.raises(NotImplementedError, match="gates_gradient has no derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gates": torch.zeros(1, 5, 8, dtype=torch.float64)}, "gates are torch.float64"),
        ({"gates": torch.zeros(1, 5, 9)}, "not .batch, N, 2C. and .heads, K."),
        ({"kernel": torch.zeros(2, 4)}, "4 wide"),
        ({"kernel": torch.zeros(2, 67)}, "67 wide"),
        ({"mask": torch.ones(1, 5)}, "the mask is torch.float32"),
        ({"mask": torch.ones(1, 4, dtype=torch.bool)}, r"\[1, 4\] and not bool \[1, 5\]"),
    ],
)
def test_errors(change, message):
    arguments = {"gates": torch.zeros(1, 5, 8), "kernel": torch.zeros(2, 3), "mask": None}
    with pytest.raises(ValueError, match=message):
        gated_convolution(**arguments | change)


def test_a_module_loaded_twice_leaves_the_first_its_operators():
    spec = importlib.util.spec_from_file_location(triton_convolution.__name__, triton_convolution.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    gates, kernel, _ = inputs(1, 5, 1, 4, 3)
    gates.requires_grad_()
    assert again.GATED_CONVOLUTION._qualname != triton_convolution.GATED_CONVOLUTION._qualname
    outputs = [module.gated_convolution(gates, kernel) for module in (triton_convolution, again)]
    assert torch.equal(*outputs) and torch.equal(*(torch.autograd.grad(x.sum(), gates)[0] for x in outputs))


def in_another_process(program, **environment):
    """What a program of its own prints."""
    variables = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=variables | environment, cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_without_triton():
    program = """
        import sys
        sys.modules["triton"] = None
        import torch
        from autobertc.compiler.modeling.triton_convolution import gated_convolution
        try:
            gated_convolution(torch.ones(1, 3, 4), torch.ones(1, 3))
        except RuntimeError as error:
            print(error)
    """
    assert "Triton is not installed" in in_another_process(program)


def test_compiles_where_sizes_are_1():
    """A launch makes arguments that are 1 constants of the kernel, which have fewer methods than numbers."""
    program = """
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        from autobertc.compiler.modeling.triton_convolution import ahead_of_time
        for name, function, signature, constants, warps, stages, _ in ahead_of_time("bf16", 16, 3):
            constants |= {size: 1 for size in ("length", "heads", "items", "parts") if size in signature}
            types = {name: "constexpr" if name in constants else signature[name] for name in function.arg_names}
            options = {"num_warps": warps, "num_stages": stages}
            triton.compile(ASTSource(function, types, constants), GPUTarget("cuda", 90, 32), options)
            print(name)
    """
    assert in_another_process(program).split() == list(KERNELS)


def test_ahead_of_time_names_every_argument():
    for found in triton_convolution.ahead_of_time("fp16", 48, 31):
        assert sorted(found.function.arg_names) == sorted([*found.signature, *found.constants])
        assert set(found.divisible) <= set(found.signature)
        assert found.signature["gates"] == "*fp16" and found.signature["mask"] == "*i1"
