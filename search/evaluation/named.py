"""Architectures with a name, at any number of layers: what a gate compares, a search may start from, and a last stage
measures itself by."""

from __future__ import annotations

from autobertc.search.genome import Genome

_ATTENTION = "att: softmax(scale(Q @ K.T)) @ V\n"
_LINEAR = "att: Q @ (K.T @ V)\n"
_LAYERS = {
    "bert": (_ATTENTION,),
    "convolutions": ("conv: 3\n", "conv: 9\n", "conv: 31\n", "conv: 65\n"),
    "alternating": ("conv: 3\n", _ATTENTION),
    "linear": ("conv: 3\n", _LINEAR),
}
NAMES = tuple(_LAYERS)
"""bert: attention alone. convolutions: none of it. alternating: a narrow convolution before each attention. linear: the
same with attention whose cost is linear in N."""


def named(name: str, layers: int) -> Genome:
    """An architecture of `NAMES` with so many layers. Raises `KeyError` where there is none."""
    chosen = _LAYERS[name]
    return Genome.read("model m {}\n" + "".join(chosen[number % len(chosen)] for number in range(layers)))
