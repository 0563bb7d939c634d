"""`compile_attention`: an expression as a function for anyone's own model."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import autobertc
from autobertc import AbzError, compile_attention
from autobertc.compiler.modeling import functional
from autobertc.runtime.attention import CompiledAttention

BERT = "softmax(scale(Q @ K.T)) @ V"
TWICE = "softmax(Q @ K.T) @ V + softmax(Q @ K.T) @ K"
PROGRAMS = [
    BERT,
    TWICE,
    "Q @ (K.T @ V)",
    "softmax(Q @ K.T)",
    "matmul(softmax(cosine_similarity(Q, K)), V)",
    "matmul(euclidean_distance(Q, K), P)",
    "logsigmoid(softmax(Q @ K.T)) @ V",
    "softmax(softmax(Q @ K.T) @ softmax(V @ P.T)) @ V",
    "V @ softmax(Q.T @ K).T",
    "softmax(Q @ K.T + V @ P.T) @ (K + Q)",
]


def tensors(*names: str, shape: tuple[int, ...] = (2, 2, 7, 4), dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for name in names}


@pytest.fixture
def mask() -> Tensor:
    """A hole and left padding; padding behind."""
    return torch.tensor([[0, 1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]]).bool()


def test_is_what_it_says() -> None:
    given = tensors("Q", "K", "V")
    expected = F.scaled_dot_product_attention(*given.values())
    attention = compile_attention(BERT)
    torch.testing.assert_close(attention(**given), expected)
    assert attention.inputs == ("Q", "K", "V") and "def compiled(Q, K, V, mask, dropout_p)" in attention.source
    assert repr(attention) == "CompiledAttention(Q, K, V; auto)"
    torch.testing.assert_close(compile_attention("softmax(scale(Q @ K.T))", backend="eager")(**given), expected)


@pytest.mark.parametrize("expression", PROGRAMS)
def test_gradients(expression: str, mask: Tensor) -> None:
    attention = compile_attention(expression)
    given = tensors(*attention.inputs)
    for padding in (None, mask):
        weights = 1 if padding is None else padding[:, None, :, None]

        def function(*values: Tensor, padding: Tensor | None = padding, weights: Any = weights) -> Tensor:
            return attention(**dict(zip(attention.inputs, values, strict=True)), mask=padding) * weights

        assert torch.autograd.gradcheck(function, tuple(given.values()))


@pytest.mark.parametrize("expression", PROGRAMS)
def test_mask(expression: str, mask: Tensor) -> None:
    """Real tokens see real tokens only: the same sequences without padding give the same, garbage or not."""
    attention = compile_attention(expression)
    given = tensors(*attention.inputs)
    with torch.no_grad():
        for value in given.values():
            value[~mask[:, None, :].expand(2, 2, 7)] = 1e30
    result = attention(**given, mask=mask)
    assert result.isfinite().all()
    result[mask[:, None].expand(2, 2, 7)].sum().backward()
    for row, real in enumerate(mask):
        short = {name: value[row : row + 1, :, real].detach() for name, value in given.items()}
        torch.testing.assert_close(result[row : row + 1, :, real], attention(**short))
    for value in given.values():
        assert (value.grad[~mask[:, None].expand(2, 2, 7)] == 0).all()
        assert value.grad.isfinite().all()
    everything = torch.ones_like(mask)
    fresh = tensors(*attention.inputs)
    torch.testing.assert_close(attention(**fresh, mask=everything), attention(**fresh))


@pytest.mark.parametrize("expression", PROGRAMS)
def test_nothing_real(expression: str) -> None:
    attention = compile_attention(expression)
    given = tensors(*attention.inputs)
    result = attention(**given, mask=torch.zeros(2, 7, dtype=torch.bool))
    result.sum().backward()
    assert result.isfinite().all() and all((value.grad == 0).all() for value in given.values())


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("expression", [BERT, TWICE, "logsigmoid(softmax(Q @ K.T)) @ V"])
def test_seeds(expression: str) -> None:
    attention = compile_attention(expression)
    given = tensors(*attention.inputs)

    def run(seed: int | None) -> list[Tensor]:
        result = attention(**given, dropout_p=0.4, seed=seed)
        return [result, *torch.autograd.grad(result.sum(), list(given.values()))]

    state = torch.random.get_rng_state()
    first, second, other = run(3), run(3), run(4)
    assert torch.equal(torch.random.get_rng_state(), state), "a seed moved torch's own generator"
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(run(None)[0], run(None)[0])
    torch.manual_seed(9)
    again = run(None)[0]
    torch.manual_seed(9)
    assert torch.equal(run(None)[0], again)


def test_no_dropout_without_a_map() -> None:
    """Softmax over the channels is no attention map."""
    given = tensors("Q", "K", "V")
    for expression in ("Q @ (K.T @ V)", "softmax(Q) @ (softmax(K.T) @ V)"):
        attention = compile_attention(expression)
        assert torch.equal(attention(**given, dropout_p=0.9), attention(**given))


def identity(length: int = 64, heads: int = 64) -> Tensor:
    """A value of which a weighted sum is the weights themselves."""
    return torch.eye(length).expand(1, heads, length, length)


@pytest.mark.parametrize("blocked", [False, True])
def test_statistics(blocked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are dropped one by one at the rate, and what stays is scaled up."""
    if blocked:
        monkeypatch.setattr(functional, "BLOCK_ELEMENTS", 64 * 64 * 3)
    attention = compile_attention(BERT)
    zeros = torch.zeros(1, 64, 64, 64)
    weights = attention(Q=zeros, K=zeros, V=identity(), dropout_p=0.3, seed=0)
    dropped = weights == 0
    torch.testing.assert_close(weights[~dropped] * 64, torch.full_like(weights[~dropped], 1 / 0.7))
    # 262144 independent drops: six standard deviations are 0.0054.
    assert abs(dropped.float().mean().item() - 0.3) < 0.0054
    for axis in (1, 2, 3):  # nothing shared between heads, rows or columns
        assert abs((dropped & dropped.roll(1, axis)).float().mean().item() - 0.09) < 0.0034
    # The expectation is the weights without dropout.
    assert abs(weights.mean().item() - 1 / 64) < 1e-3


@pytest.mark.parametrize("library", [True, False])
def test_one_mask_for_each_softmax(library: bool) -> None:
    """One canonical softmax, used twice, has one mask: P V + P K = P (V + K) with P dropped once."""
    given = tensors("Q", "K", "V", dtype=torch.float32)
    weights = "softmax(Q @ K.T)" if library else "logsigmoid(softmax(Q @ K.T))"
    expression = f"{weights} @ V + {weights} @ K"
    V, K = identity(7, 2).expand(2, 2, 7, 7), given["K"]
    attention = compile_attention(expression)
    # Widths are one: K has 7 columns too.
    wide = torch.cat((K, torch.zeros(2, 2, 7, 3)), dim=-1).detach()
    Q = torch.cat((given["Q"], torch.zeros(2, 2, 7, 3)), dim=-1).detach()
    both = attention(Q=Q, K=wide, V=V, dropout_p=0.5, seed=1)
    # P is the same where V alone changes: P V - P 0 = P, then P K follows.
    without = attention(Q=Q, K=wide, V=torch.zeros_like(V), dropout_p=0.5, seed=1)
    dropped = both - without
    torch.testing.assert_close(without, dropped @ wide, rtol=1e-4, atol=1e-5)
    if library:
        assert 0.3 < (dropped.abs() < 1e-6).float().mean().item() < 0.7


def test_blocks_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Working through blocks of queries: one seed, one mask, in forward and backward and from run to run."""
    monkeypatch.setattr(functional, "BLOCK_ELEMENTS", 2 * 7 * 3)
    attention = compile_attention(BERT)
    given = tensors("Q", "K", "V")

    def run() -> list[Tensor]:
        result = attention(**given, dropout_p=0.5, seed=2)
        return [result, *torch.autograd.grad((result * result).sum(), list(given.values()))]

    first, second = run(), run()
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    # The backward pass has the forward's mask: finite differences at that mask agree.
    assert torch.autograd.gradcheck(
        lambda *values: attention(**dict(zip("QKV", values, strict=True)), dropout_p=0.5, seed=2),
        tuple(given.values()),
    )
    torch.manual_seed(5)
    Q, K, V = given.values()
    result = attention(Q=Q, K=K, V=V, dropout_p=0.5)
    torch.randn(100)  # the generator moves on between forward and backward
    (gradient,) = torch.autograd.grad(result.sum(), V)
    # The result is linear in V, so the gradient of its sum times V is that sum.
    torch.testing.assert_close((gradient * V).sum(), result.sum())


def test_blocks_without_dropped_weights_are_the_whole(monkeypatch: pytest.MonkeyPatch, mask: Tensor) -> None:
    attention = compile_attention(BERT)
    given = tensors("Q", "K", "V")
    whole = attention(**given, mask=mask)
    monkeypatch.setattr(functional, "BLOCK_ELEMENTS", 2 * 7 * 3)
    blocks = attention(**given, mask=mask, dropout_p=1e-12, seed=0)
    torch.testing.assert_close(blocks, whole)
    cotangent = torch.where(mask[:, None, :, None], 1.0, 0.0).expand_as(whole)
    gradients = [torch.autograd.grad(result, list(given.values()), cotangent) for result in (whole, blocks)]
    for pair in zip(*gradients, strict=True):
        torch.testing.assert_close(*pair)


# ---------------------------------------------------------------- use and misuse


@pytest.mark.parametrize("expression", [BERT, TWICE, "matmul(euclidean_distance(Q, K), P)"])
def test_whole_graph_compilation(expression: str, mask: Tensor) -> None:
    attention = compile_attention(expression)
    given = tensors(*attention.inputs, dtype=torch.float32)
    compiled = torch.compile(attention, fullgraph=True, backend="aot_eager")
    results = [function(**given, mask=mask)[mask[:, None].expand(2, 2, 7)] for function in (attention, compiled)]
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(result.square().sum(), list(given.values())) for result in results]
    for pair in zip(*gradients, strict=True):
        torch.testing.assert_close(*pair)


def test_inside_a_module() -> None:
    """In anyone's own model, copied, pickled and under autocast."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.ModuleDict({name: nn.Linear(8, 8) for name in "QKV"})
            self.attention = compile_attention(BERT)

        def forward(self, x: Tensor) -> Tensor:
            heads = {name: layer(x).unflatten(-1, (2, 4)).transpose(1, 2) for name, layer in self.maps.items()}
            return self.attention(**heads).transpose(1, 2).flatten(2)

    block, x = Block(), torch.randn(2, 5, 8)
    assert torch.equal(deepcopy(block)(x), block(x))
    attention = compile_attention(TWICE)
    given = tensors(*attention.inputs)
    assert torch.equal(pickle.loads(pickle.dumps(attention))(**given), attention(**given))
    with torch.autocast("cpu", torch.bfloat16):
        assert block(x).dtype == torch.bfloat16
    block(x).sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_types(dtype: torch.dtype) -> None:
    for expression in PROGRAMS:
        attention = compile_attention(expression)
        given = tensors(*attention.inputs, dtype=dtype)
        result = attention(**given)
        result.sum().backward()
        assert result.dtype == dtype and all(value.grad.dtype == dtype for value in given.values())


def test_package() -> None:
    assert autobertc.compile_attention is compile_attention
    assert isinstance(compile_attention("Q @ (K.T @ V)"), CompiledAttention)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda given: given.pop("K"), TypeError, r"takes Q, K, V; given: Q, V"),
        (lambda given: given.update(P=given["Q"]), TypeError, r"takes Q, K, V; given: Q, K, V, P"),
        (lambda given: given.clear(), TypeError, r"given: none"),
        (lambda given: given.update(V=given["V"][:, :1]), ValueError, r"V is \[2, 1, 7, 4\]"),
        (lambda given: given.update({name: given[name][0] for name in given}), ValueError, r"\[batch, heads, N, D\]"),
        (lambda given: given.update(K=given["K"].float()), ValueError, r"K is torch.float32"),
        (lambda given: given.update({name: given[name].long() for name in given}), ValueError, r"floating-point"),
        (lambda given: given.update(V=given["V"].to("meta")), ValueError, r"on meta"),
        (lambda given: given.update(mask=torch.ones(2, 7)), ValueError, r"mask is \[batch, N\], here \[2, 7\], bool"),
        (lambda given: given.update(mask=torch.ones(2, 6).bool()), ValueError, r"found \[2, 6\]"),
        (lambda given: given.update(mask=torch.ones(2, 1, 7).bool()), ValueError, r"found \[2, 1, 7\]"),
        (lambda given: given.update(mask=torch.ones(2, 7, device="meta").bool()), ValueError, r"on meta"),
        (lambda given: given.update(dropout_p=1.0), ValueError, r"from 0 to below 1, found 1.0"),
        (lambda given: given.update(dropout_p=-0.1), ValueError, r"from 0 to below 1"),
        (lambda given: given.update(dropout_p=float("nan")), ValueError, r"from 0 to below 1"),
    ],
)
def test_wrong_arguments(change: Callable[[dict[str, Any]], Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = tensors("Q", "K", "V")
    change(given)
    with pytest.raises(error, match=words):
        compile_attention(BERT)(**given)


@pytest.mark.parametrize("expression", ["", "Q @ K", "Q.T", "nonsense(Q)", "softmax(", "att: Q", "X", "Q; import os"])
def test_wrong_expressions(expression: str) -> None:
    with pytest.raises(AbzError):
        compile_attention(expression)


def test_wrong_backend() -> None:
    with pytest.raises(ValueError, match="no backend 'nonsense'; choose one of auto, eager"):
        compile_attention(BERT, backend="nonsense")
