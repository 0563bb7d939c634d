"""How alike the tokens of a sequence become from layer to layer.

Dong, Cordonnier & Loukas (2021) show that attention alone makes all tokens the same with depth; Figure 5 of Gao et al.
(2022) compares backbones by it. X is a layer's output for one sequence, `[N, hidden]`, real tokens only, and
R = X - 1 x^T with x the mean token what is left once the tokens' common part is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autobertc.runtime.analysis.loading import Opened, Pair, batches

PAIRS = 1280
"""Sentence pairs that the paper's figure is the mean over."""
MEASURES = {
    "residual_frobenius": "relative residual, Frobenius norm",
    "residual_one_infinity": "relative residual, sqrt(1-norm x inf-norm)",
    "cosine": "mean cosine of two tokens",
}


def one_infinity(matrix: Tensor) -> Tensor:
    """sqrt(|M|_1 |M|_inf): the greatest column sum and the greatest row sum of absolute values."""
    return (matrix.abs().sum(-2).amax(-1) * matrix.abs().sum(-1).amax(-1)).sqrt()


def uniformity(hidden: Tensor) -> dict[str, float]:
    """The three measures of one sequence, `[N, hidden]`. A residual of 0 and a cosine of 1: all tokens are the same."""
    hidden = hidden.double()
    residual = hidden - hidden.mean(0, keepdim=True)
    count = len(hidden)
    units = torch.nn.functional.normalize(hidden, dim=-1)
    # The sum over all pairs is the square of the sum, less each with itself.
    pairs = (units.sum(0).square().sum() - units.square().sum()) / (count * (count - 1))
    return {
        "residual_frobenius": float(torch.linalg.norm(residual) / torch.linalg.norm(hidden)),
        "residual_one_infinity": float(one_infinity(residual) / one_infinity(hidden)),
        "cosine": float(pairs),
    }


@torch.no_grad()
def token_uniformity(opened: Opened, pairs: Sequence[Pair], length: int, size: int = 32) -> dict[str, list[float]]:
    """The measures' means over sentence pairs by layer, `[1 + layers]` each, the embeddings first."""
    sums: NDArray[np.float64] | float = 0.0
    for inputs in batches(opened, pairs, length, size):
        layers = opened.model(**inputs, output_hidden_states=True).hidden_states
        for number, mask in enumerate(inputs["attention_mask"].bool()):
            sums = sums + np.array([list(uniformity(layer[number][mask]).values()) for layer in layers])
    means = np.asarray(sums) / len(pairs)
    return {name: means[:, i].tolist() for i, name in enumerate(MEASURES)}
