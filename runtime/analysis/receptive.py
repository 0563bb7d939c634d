"""How far the surroundings of a token reach it: the effective receptive field (Luo et al., NeurIPS 2016).

For a layer or a stack, the influence of token n on the middle token m is the Frobenius norm of the Jacobian of m's
output by n's input, estimated by gradients of random projections: E |J^T g|^2 = |J|_F^2 for normal g. For a convolution
it is also told by its kernel alone: what a head's normalised kernel has at each offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autobertc.runtime.analysis.loading import Opened, Pair, batches

SEQUENCES = 32
"""How many sequences gradients are taken of: their profiles differ little."""
MASS = 0.9
"""The share of influence that a width is for."""


@dataclass(frozen=True)
class Field:
    """How influence lies around a token.

    Attributes:
        profile: `[2R + 1]`, shares by offset from -R to R, whose sum is 1.
        spread: the root of the mean squared offset, in tokens.
        width: tokens of the smallest window around the token that has `MASS` of it.
        itself: the share of the token itself.
    """

    profile: NDArray[np.float64]
    spread: float
    width: int
    itself: float

    @classmethod
    def of(cls, shares: NDArray[np.float64]) -> Field:
        """The field of non-negative weights by offset, `[2R + 1]`."""
        profile = shares / shares.sum()
        radius = len(profile) // 2
        offsets = np.arange(-radius, radius + 1)
        # What each window has: the token itself, then one more on either side.
        pairs = profile[radius:] + profile[radius::-1]
        pairs[0] = profile[radius]
        reached = int(np.searchsorted(np.cumsum(pairs), MASS - 1e-12))
        spread = float(np.sqrt((profile * offsets**2).sum()))
        return cls(profile, spread, 2 * min(reached, radius) + 1, float(profile[radius]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the profile from offset -R to R."""
        numbers = {"spread": self.spread, "width": self.width, "itself": self.itself}
        return {**numbers, "profile": self.profile.round(6).tolist()}


@dataclass(frozen=True)
class ReceptiveFields:
    """Fields by layer.

    Attributes:
        kernels: by the number of a convolution layer, its kernel's field in each head.
        layers: `[layers]`, each layer's output by its own input.
        stack: `[layers]`, each layer's output by the embeddings.
    """

    kernels: dict[int, list[Field]]
    layers: list[Field]
    stack: list[Field]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "mass": MASS,
            "kernels": {str(number): [field.to_dict() for field in fields] for number, fields in self.kernels.items()},
            "layers": [field.to_dict() for field in self.layers],
            "stack": [field.to_dict() for field in self.stack],
        }


def kernel_fields(opened: Opened) -> dict[int, list[Field]]:
    """The fields of the kernels of each convolution layer by head."""
    if opened.architecture is None:
        return {}
    found = {}
    for number, layer in enumerate(opened.model.encoder.layer, start=1):
        if not layer.is_attention:
            kernel = layer.convolution.self.kernel.detach().double().softmax(-1)
            found[number] = [Field.of(head) for head in kernel.squeeze(1).cpu().numpy()]
    return found


def receptive_fields(opened: Opened, pairs: Sequence[Pair], length: int, size: int = 8) -> ReceptiveFields:
    """Fields over sequences, of the token in the middle of each."""
    generator = torch.Generator().manual_seed(0)
    layers: list[NDArray[np.float64]] = []
    stack: list[NDArray[np.float64]] = []
    for inputs in batches(opened, pairs[:SEQUENCES], length, size):
        with torch.enable_grad():
            states = opened.model(**inputs, output_hidden_states=True).hidden_states
            real = inputs["attention_mask"].sum(-1)
            middle = real // 2
            if not layers:
                layers = [np.zeros(2 * length + 1) for _ in states[1:]]
                stack = [np.zeros(2 * length + 1) for _ in states[1:]]
            for number, output in enumerate(states[1:]):
                drawn = torch.randn(len(middle), output.shape[-1], generator=generator).to(output)
                projected = (output[torch.arange(len(middle)), middle] * drawn).sum()
                below = [states[number], states[0]] if number else [states[0]]
                found = torch.autograd.grad(projected, below, retain_graph=True)
                _add(layers[number], found[0], middle, real)
                _add(stack[number], found[-1], middle, real)
    return ReceptiveFields(kernel_fields(opened), [_field(each) for each in layers], [_field(each) for each in stack])


def _add(sums: NDArray[np.float64], gradient: Tensor, middle: Tensor, real: Tensor) -> None:
    """Add each sequence's shares to the sums by offset; `gradient` is `[batch, N, hidden]`."""
    centre = len(sums) // 2
    norms = gradient.double().norm(dim=-1).cpu().numpy()
    for row, at, end in zip(norms, middle.tolist(), real.tolist(), strict=True):
        shares = row[:end] / max(row[:end].sum(), 1e-300)
        sums[centre - at : centre - at + end] += shares


def _field(sums: NDArray[np.float64]) -> Field:
    """The field of sums, cut to the offsets that any sequence has."""
    centre = len(sums) // 2
    radius = int(np.abs(np.flatnonzero(sums) - centre).max(initial=0))
    return Field.of(sums[centre - radius : centre + radius + 1])
