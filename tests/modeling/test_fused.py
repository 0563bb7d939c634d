"""Fused kernels as operators of torch: registration, compilation, dropout, long sequences, errors."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from fused_kernels import DEVICE
from numerics import check
from stage_executor import executed
from strategies import Case

from autobertc.compiler.modeling import fused as runtime
from autobertc.compiler.modeling import operators
from autobertc.compiler.modeling.launching import Configuration, candidates
from autobertc.dsl.checker import check_expression
from autobertc.dsl.ops import Elementwise, Pairwise, registered
from autobertc.dsl.ops.calculus import MissingKernel
from autobertc.runtime.attention import compile_attention
from autobertc.runtime.kernels import load_fused

ATTENTION = "softmax(scale(Q @ K.T)) @ V"
PROGRAMS = [ATTENTION, "(Q @ K.T) @ V", "tanh(softmax(Q @ K.T) @ softmax(V @ P.T)) @ V"]


def tensors(names: str, length: int = 40, head_dim: int = 16, batch: int = 2, heads: int = 2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = (batch, heads, length, head_dim)
    return [torch.randn(shape, generator=generator).to(DEVICE, dtype).requires_grad_() for _ in names]


def mask_of(length: int = 40) -> torch.Tensor:
    mask = torch.ones(2, length, dtype=torch.bool, device=DEVICE)
    mask[1, length // 2 :] = False
    return mask


@pytest.mark.parametrize("text", PROGRAMS)
def test_opcheck(text):
    program = check_expression(text)
    function = load_fused(program, f"opcheck_{program.key[:8]}")
    inputs = tensors(program.inputs)
    for mask in (None, mask_of()):
        torch.library.opcheck(function._operator, (inputs, mask, None, 0.0, True))


@pytest.mark.parametrize(
    "text", [ATTENTION, "softsign(Q @ K.T) @ V", "softmax(Q) @ (K.T @ V)", "cosine_similarity(Q, K) @ V"]
)
def test_gradients_against_gradcheck(text):
    """Eager in float64 passes gradcheck; kernels in float32 give its gradients."""
    eager, kernels = (compile_attention(text, backend=backend) for backend in ("eager", "triton"))
    names = eager.inputs
    inputs = tensors(names, length=5, batch=1)
    wide = [value.detach().double().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(lambda *values: eager(**dict(zip(names, values, strict=True))), wide)
    expected = torch.autograd.grad(eager(**dict(zip(names, wide, strict=True))).square().sum(), wide)
    found = torch.autograd.grad(kernels(**dict(zip(names, inputs, strict=True))).square().sum(), inputs)
    for value, reference in zip(found, expected, strict=True):
        assert torch.allclose(value.double(), reference, rtol=1e-4, atol=1e-5)


def test_compiles_without_a_graph_break():
    function = load_fused(check_expression(ATTENTION), "compiled_whole")
    inputs = tensors("QKV")
    mask = mask_of()

    def step(q, k, v):
        return function(q * 1.0, k, v, mask, 0.0).square().sum()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    expected = torch.autograd.grad(step(*inputs), inputs)
    found = torch.autograd.grad(compiled(*inputs), inputs)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_exports():
    function = load_fused(check_expression(ATTENTION), "exported")

    class Module(torch.nn.Module):
        def forward(self, q, k, v):
            return function(q, k, v, None, 0.0)

    inputs = tuple(value.detach() for value in tensors("QKV"))
    exported = torch.export.export(Module(), inputs)
    assert torch.equal(exported.module()(*inputs), function(*inputs, None, 0.0))


def test_a_second_derivative_is_an_error():
    function = load_fused(check_expression(ATTENTION), "twice")
    inputs = tensors("QKV")
    (gradient,) = torch.autograd.grad(function(*inputs, None, 0.0).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises((NotImplementedError, RuntimeError), match="derivative"):
        gradient.sum().backward()


# ---------------------------------------------------------------- dropout


def test_dropout_is_one_mask_forward_and_backward():
    """The kernels' own mask, read off uniform attention to one-hot values, put into the stage executor."""
    length = 32
    program = check_expression(ATTENTION)
    function = load_fused(program, "dropped")
    inputs = tensors("QKV", length=length, head_dim=32)

    def seeded(*values):
        torch.manual_seed(5)
        return function(*values, None, 0.25)

    zero = torch.zeros_like(inputs[0]).detach()
    eye = torch.eye(length, device=DEVICE).expand(2, 2, length, length).contiguous()
    keep = (seeded(zero, zero, eye) * length).round(decimals=4)
    assert keep.unique().tolist() == pytest.approx([0.0, 4 / 3], abs=1e-3)
    assert abs(float((keep == 0).float().mean()) - 0.25) < 0.03
    assert not torch.equal(keep[0, 0], keep[0, 1]) and not torch.equal(keep[0, 0], keep[1, 0])
    gradient = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    result = seeded(*inputs)
    found = [result, *torch.autograd.grad(result, inputs, gradient)]
    reference = executed(program, keeps={1: np.where(keep.cpu().numpy() > 0, np.float32(4 / 3), np.float32(0))})
    leaves = [value.detach().cpu().requires_grad_() for value in inputs]
    expected_result = reference(*leaves, None, 0.25)
    expected = [expected_result, *torch.autograd.grad(expected_result, leaves, gradient.cpu())]
    for value, want in zip(found, expected, strict=True):
        assert torch.allclose(value.cpu(), want, rtol=1e-4, atol=1e-5)


def test_a_seed_repeats_a_mask():
    function = compile_attention(ATTENTION, backend="triton")
    q, k, v = tensors("QKV")
    first, second, other = (function(Q=q, K=k, V=v, dropout_p=0.3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    "text", ["(Q @ K.T) @ V", "softmax(Q) @ (softmax(K.T) @ V)", "transpose(euclidean_distance(Q.T, K.T) @ V.T)"]
)
def test_pieces_of_long_sequences_are_joined_in_order(text, monkeypatch):
    monkeypatch.setattr(runtime, "PIECE", 32)
    program = check_expression(text)
    function = load_fused(program, f"pieces_{program.key[:8]}")
    mask = ((True,) * 50 + (False,) * 40, (False,) * 90)

    def moved(*arguments):
        *values, dropout_p = arguments
        return function(*(value if value is None else value.to(DEVICE) for value in values), dropout_p).cpu()

    check(program, Case(2, 1, 90, 20, mask, 1e30, torch.float32, 0), moved)


def test_any_strides():
    function = load_fused(check_expression(ATTENTION), "strided")
    plain = [value.detach() for value in tensors("QKV")]
    heads_last = [value.transpose(1, 2).contiguous().transpose(1, 2) for value in plain]
    columns_apart = [torch.stack([value, value], dim=-1)[..., 0] for value in plain]
    expected = function(*plain, None, 0.0)
    for inputs in (heads_last, columns_apart, [plain[0][:, :1].expand_as(plain[0]), *plain[1:]]):
        found = function(*inputs, None, 0.0)
        if inputs is heads_last or inputs is columns_apart:
            assert torch.equal(found, expected)
    # Heads are joined without a copy.
    assert expected.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("text", ["Q", "Q + K", "transpose(transpose(Q))"])
def test_results_are_no_views_of_what_was_given(text):
    program = check_expression(text)
    function = load_fused(program, f"views_{program.key[:8]}")
    inputs = tensors(program.inputs)
    result = function(*inputs, None, 0.0)
    gradients = torch.autograd.grad(result, inputs, torch.ones_like(result))
    assert result.data_ptr() not in {value.data_ptr() for value in inputs}
    assert len({gradient.data_ptr() for gradient in gradients}) == len(gradients)


def test_nothing_at_all():
    function = load_fused(check_expression(ATTENTION), "empty")
    for shape in ((0, 2, 4, 16), (1, 2, 0, 16)):
        assert function(*[torch.zeros(shape, device=DEVICE)] * 3, None, 0.0).shape == shape


def test_no_gradient_no_kept_values():
    function = load_fused(check_expression(ATTENTION), "inference")
    inputs = [value.detach() for value in tensors("QKV")]
    assert len(function._operator(inputs, None, None, 0.0, False)) == 1
    assert torch.equal(function(*inputs, None, 0.0), function(*tensors("QKV"), None, 0.0).detach())


def test_products_of_maps_without_a_gradient():
    """What the library reads is there although no backward pass will read it."""
    function = load_fused(check_expression("tanh(softmax(Q @ K.T) @ softmax(K @ V.T)) @ V"), "maps")
    inputs = [value.detach() for value in tensors("QKV")]
    assert torch.equal(function(*inputs, None, 0.0), function(*tensors("QKV"), None, 0.0).detach())


def test_a_comparison_of_maps_may_take_maxima():
    """Of two maps a comparison is a library call, whose term is written for torch."""
    spread = Pairwise(
        name="spread",
        formula="sum max(x - y, y - x, 0)",
        numpy=lambda np, x, y: np.abs(x[..., :, None, :] - y[..., None, :, :]).sum(axis=-1),
        torch="({0}.unsqueeze(-2) - {1}.unsqueeze(-3)).abs().sum(-1)",
        term="maximum(maximum(x - y, y - x), 0.0)",
        term_slope="where(x > y, 1.0, where(x < y, -1.0, 0.0))",
    )
    with registered(spread):
        text = "spread(softmax(Q @ K.T), softmax(K @ V.T)) @ V"
        q, k, v = (value.detach() for value in tensors("QKV", length=6))
        found, expected = (compile_attention(text, backend=backend)(Q=q, K=k, V=v) for backend in ("triton", "eager"))
        assert torch.allclose(found, expected, atol=1e-5)


# ---------------------------------------------------------------- errors


def test_what_kernels_do_not_take_is_refused_by_name():
    function = load_fused(check_expression("Q @ (K.T @ K)"), "refused")
    with pytest.raises(ValueError, match=r"up to 256 wide, found 512"):
        function(torch.zeros(1, 1, 4, 512), torch.zeros(1, 1, 4, 512), None, 0.0)
    with pytest.raises(ValueError, match=r"not torch\.float64"):
        function(torch.zeros(1, 1, 4, 16).double(), torch.zeros(1, 1, 4, 16).double(), None, 0.0)


def test_no_gpu_and_no_interpreter(monkeypatch):
    monkeypatch.setattr(runtime, "INTERPRETING", False)
    function = load_fused(check_expression("Q + K"), "no_gpu")
    with pytest.raises(RuntimeError, match=r"needs a GPU.*eager backend.*TRITON_INTERPRET=1"):
        function(torch.zeros(1, 1, 4, 16), torch.zeros(1, 1, 4, 16), None, 0.0)
    monkeypatch.setattr(runtime, "triton", None)
    with pytest.raises(RuntimeError, match="pip install triton"):
        function(torch.zeros(1, 1, 4, 16), torch.zeros(1, 1, 4, 16), None, 0.0)


def test_everything_imports_without_triton():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch, autobertc\n"
        "from autobertc.compiler.modeling import fused, triton_convolution\n"
        "from autobertc.dsl.checker import check_expression\n"
        "from autobertc.runtime.kernels import load_fused\n"
        "f = load_fused(check_expression('Q + K'), 'f')\n"
        "x = torch.zeros(1, 1, 4, 16)\n"
        "try:\n    f(x, x, None, 0.0)\nexcept RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "needs Triton, which is not installed" in done.stdout


def test_a_primitive_without_kernel_is_named():
    bare = Elementwise(name="bare", formula="x", numpy=lambda np, x: x, torch="{0} * 1")
    with registered(bare):
        with pytest.raises(MissingKernel, match="primitive 'bare' has no slope, which fused kernels need"):
            compile_attention("bare(Q) + K", backend="triton")
        q = torch.ones(1, 1, 2, 16)
        assert torch.equal(compile_attention("bare(Q) + K")(Q=q, K=q), 2 * q)


# ---------------------------------------------------------------- tile sizes


def test_candidates_fit_the_device():
    function = load_fused(check_expression(ATTENTION), "sized")
    stage = function.forward.stages[0]
    for block_d in (16, 64, 128, 256):
        found = candidates(stage, block_d, 2)
        assert found and all(isinstance(one, Configuration) for one in found)
        small = candidates(stage, block_d, 4, shared=64 * 1024)
        assert small and len(small) <= len(found)
    assert (DEVICE == "cpu") == operators.INTERPRETING
