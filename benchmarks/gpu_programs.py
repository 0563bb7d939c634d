"""The attention programs of the GPU benchmark, and each as an expert would write it for the libraries' attention.

A rewriting is a function `(attend, *inputs)` where `attend(query, key, value, scale)` is softmax attention, which
FlexAttention and SDPA both offer; or a function of the inputs, where it needs what only FlexAttention has, a function
of the scores. FlexAttention always divides by the sum of exponentials. Where a program does not, a positive function f
of a score is still `exp(log f)`: the rewriting gives it the logarithm and multiplies by the sum that it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from measure import EXAMPLES
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, flex_attention

import autobertc
from autobertc.compiler.fusion.accounting import Sizes, account
from autobertc.compiler.fusion.joint import plan_program
from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import Program
from autobertc.dsl.ops.base import Pairwise
from autobertc.dsl.types import NN

Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]
SUMS = 16  # features of the values where a first pass is for the sums of exponentials alone


@dataclass(frozen=True)
class Subject:
    """A program that is measured.

    Attributes:
        name: what tables and `--only` call it.
        program: the program.
        attention: it by softmax attention alone: `(attend, *inputs)`; None where scores need a function.
        flex: it by FlexAttention: a function of its inputs; None where FlexAttention cannot express it.
        how: how FlexAttention computes it, or why it cannot.
    """

    name: str
    program: Program
    attention: Callable[..., Tensor] | None
    flex: Callable[..., Tensor] | None
    how: str

    def flops(self, length: int, head_dim: int) -> dict[str, int]:
        """Of one head: products and comparisons of the plan, every value computed once, by direction.

        The same for all implementations, so that TFLOP/s say who is faster: a kernel that computes scores again gets
        nothing for it, nor does one that leaves the order of products as it is written.
        """
        costs = account(plan_program(self.program), Sizes(length, head_dim))
        forward, backward = (int(costs[direction]["least"]["flops"]) for direction in ("forward", "backward"))
        return {"forward": forward, "forward + backward": forward + backward}

    def maps(self) -> int:
        """How many N x N maps the naive program makes, in elements of its inputs' type."""
        nodes = [node for node in self.program.nodes() if node.type == NN]
        wide = sum(isinstance(node.op, Pairwise) and not node.op.definition for node in nodes)  # in float32
        return len(nodes) + 2 * wide


# ---------------------------------------------------------------- attention as the libraries have it


def flex(query: Tensor, key: Tensor, value: Tensor, scale: float, score_mod: Any = None) -> Tensor:
    """FlexAttention."""
    result: Tensor = flex_attention(query, key, value, score_mod=score_mod, scale=scale)
    return result


def flex_sums(query: Tensor, key: Tensor, value: Tensor, scale: float, score_mod: Any) -> Tensor:
    """`sum_j exp(score[i, j]) value[j]` in float32: FlexAttention, its division by the sum of exponentials undone."""
    result, log_sums = flex_with_sums(query, key, value, scale, score_mod)
    return result.float() * log_sums.float().exp()[..., None]


def flex_with_sums(
    query: Tensor, key: Tensor, value: Tensor, scale: float, score_mod: Any = None
) -> tuple[Tensor, Tensor]:
    """FlexAttention and the logarithms of the sums that it divided by, `[batch, heads, N]`."""
    sums = AuxRequest(lse=True)
    result, auxiliary = flex_attention(query, key, value, score_mod=score_mod, scale=scale, return_aux=sums)
    return result, auxiliary.lse


def sdpa(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """`scaled_dot_product_attention`; unequal widths, for which it has no fused kernel, are padded."""
    width = max(query.shape[-1], value.shape[-1])
    wide = value if value.shape[-1] == width else F.pad(value, (0, width - value.shape[-1]))
    return F.scaled_dot_product_attention(query, key, wide, scale=scale)[..., : value.shape[-1]]


def root(x: Tensor) -> float:
    """What the language's `scale` multiplies by."""
    return float(x.shape[-1]) ** -0.5


def unit(x: Tensor) -> Tensor:
    """Rows of length 1, computed in float32."""
    return F.normalize(x.float(), dim=-1, eps=1e-8).to(x.dtype)


# ---------------------------------------------------------------- rewritings


def _bert(attend: Attend, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return attend(Q, K, V, root(Q))


def _layer_2(attend: Attend, Q: Tensor, K: Tensor) -> Tensor:
    return attend(Q, -F.logsigmoid(-K), K + Q, root(Q))


def _layer_4(attend: Attend, Q: Tensor, K: Tensor) -> Tensor:
    return attend(Q, -F.logsigmoid(F.logsigmoid(Q) + (Q + K)), Q, root(Q))


def _layer_6(attend: Attend, Q: Tensor, K: Tensor) -> Tensor:
    return attend(Q, -F.logsigmoid(K), Q, root(Q))


def _layer_10(attend: Attend, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return attend(Q, K * root(K) + (F.softsign(F.softsign(K) * root(K)) + V), V, root(Q))


def _layer_12(attend: Attend, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return attend(Q, K * root(K) + V, V, root(Q))


def _cosine(attend: Attend, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return attend(unit(Q), unit(K), V, 1.0)


def _two_products(attend: Attend, Q: Tensor, K: Tensor, V: Tensor, P: Tensor) -> Tensor:
    return attend(torch.cat((Q, V), dim=-1), torch.cat((K, P), dim=-1), V, root(Q))


def _two_softmaxes(attend: Attend, Q: Tensor, K: Tensor, V: Tensor, P: Tensor) -> Tensor:
    return attend(Q, K, attend(V, P, V, root(Q)), root(Q))


def _softsign(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    def score_mod(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.log1p(score / (1.0 + score.abs()))

    return (flex_sums(Q, K, V, root(Q), score_mod) - V.float().sum(dim=-2, keepdim=True)).to(V.dtype)


def _distance(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    rows, columns = (x.float().square().sum(dim=-1) for x in (Q, K))
    factor = root(Q)

    def score_mod(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return -factor * torch.sqrt(torch.clamp(rows[b, h, i] + columns[b, h, j] - 2.0 * score, min=1e-6))

    return flex(Q, K, V, 1.0, score_mod)


def _logsigmoid(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    _, log_sums = flex_with_sums(Q, K, V[..., :SUMS].contiguous(), root(Q))

    def score_mod(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.log(torch.log1p(torch.exp(-torch.exp(score - log_sums[b, h, i]))))

    return -flex_sums(Q, K, V, root(Q), score_mod).to(V.dtype)


# ---------------------------------------------------------------- the list

SCORES = "softmax(scale(Q @ K.T))"
LAYERS = {
    2: (_layer_2, "-logsigmoid(-K) for keys, K + Q for values"),
    4: (_layer_4, "-logsigmoid(logsigmoid(Q) + Q + K) for keys, Q for values"),
    6: (_layer_6, "-logsigmoid(K) for keys, Q for values"),
    10: (_layer_10, "scale(K) + softsign(scale(softsign(K))) + V for keys"),
    12: (_layer_12, "scale(K) + V for keys"),
}


def _softmax_attention(name: str, program: str | Program, attention: Callable[..., Tensor], how: str) -> Subject:
    def by_flex(*inputs: Tensor) -> Tensor:
        return attention(flex, *inputs)

    checked = check_expression(program) if isinstance(program, str) else program
    return Subject(name, checked, attention, by_flex, how)


def _only_flex(name: str, program: str, function: Callable[..., Tensor] | None, how: str) -> Subject:
    return Subject(name, check_expression(program), None, function, how)


def subjects() -> list[Subject]:
    """All programs, in the order in which they are measured."""
    layers = autobertc.load(EXAMPLES / "autobert-zero-base.abz").layers
    found = [_softmax_attention("bert", f"{SCORES} @ V", _bert, "as it is")]
    for number, (function, how) in LAYERS.items():
        layer = layers[number - 1]
        assert isinstance(layer, AttentionLayer)
        found.append(_softmax_attention(f"autobert-zero-{number}", layer.program, function, how))
    both = "softmax(scale(Q @ K.T + V @ P.T)) @ V"
    twice = "softmax(scale(Q @ K.T)) @ softmax(scale(V @ P.T)) @ V"
    return [
        *found,
        _only_flex(
            "softsign-scores",
            "softsign(scale(Q @ K.T)) @ V",
            _softsign,
            "score_mod log(1 + softsign(s)), its division by the sum undone, minus the sum of V",
        ),
        _softmax_attention("cosine", "softmax(cosine_similarity(Q, K)) @ V", _cosine, "rows of Q and K normalised"),
        _only_flex(
            "negative-distance",
            "softmax(neg(scale(euclidean_distance(Q, K)))) @ V",
            _distance,
            "score_mod -sqrt(|q|^2 + |k|^2 - 2s), norms as captured buffers; inexact where q is near k",
        ),
        _softmax_attention("two-products", both, _two_products, "Q beside V and K beside P, heads twice as wide"),
        _softmax_attention("two-softmaxes", twice, _two_softmaxes, "two calls, the right map applied to V first"),
        _only_flex(
            "logsigmoid-of-softmax",
            f"logsigmoid({SCORES}) @ V",
            _logsigmoid,
            "a call for the sums; another with score_mod log(softplus(-exp(s - log sum))), its division undone",
        ),
        _only_flex(
            "linear",
            "(softmax(Q) @ softmax(K.T)) @ V",
            None,
            "no softmax over scores: products in the better order are linear in N, FlexAttention is quadratic",
        ),
    ]
