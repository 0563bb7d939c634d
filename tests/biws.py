"""A small super-net and a choice of every kind for it."""

from __future__ import annotations

import torch

from autobertc.dsl.architecture import KERNEL_SIZES, Architecture, Sizes
from autobertc.search.biws.snapshots import Snapshot
from autobertc.search.biws.supernet import Sharing, make_supernet, supernet_tensors
from autobertc.search.genome import Genome

SIZES = Sizes(hidden=16, heads=2, intermediate=24, vocab=40, max_length=80)
PROGRAMS = ("softmax(scale(Q @ K.T)) @ V", "Q @ (K.T @ P)", "relu(V @ P.T) @ V", "softmax(Q @ V.T) @ (K + P)")
CHOICES = (*(f"conv: {kernel}" for kernel in KERNEL_SIZES), *(f"att: {program}" for program in PROGRAMS))


def architecture(*layers: str) -> Architecture:
    """An architecture of the super-net's sizes."""
    text = "model m {}\n" + "\n".join(layers)
    return Genome.read(text).architecture(SIZES)


def make_snapshot(sharing: Sharing, head: str = "masked-lm", layers: int = 2, stir: bool = True) -> Snapshot:
    """A super-net's first snapshot; stirred, so that matrices are not the identity nor biases 0."""
    tensors = supernet_tensors(make_supernet(SIZES, layers, head, sharing, seed=3))
    if stir:
        generator = torch.Generator().manual_seed(4)
        tensors = {
            name: tensor + 0.05 * torch.randn(tensor.shape, generator=generator) for name, tensor in tensors.items()
        }
    return Snapshot(tensors, 0, head, sharing)


IDS = torch.randint(5, 40, (3, 20), generator=torch.Generator().manual_seed(1))
