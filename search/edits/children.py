"""Edits of a genome by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer
from autobertc.search.edits.drawing import KINDS, choose, draw_edit
from autobertc.search.edits.layer_edit import Edit, InLayer, LayerEdit
from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.genome import Genome
from autobertc.search.sampling import sample_layer
from autobertc.search.space import Space

LayerWeights = Callable[[int, int, Sequence[str]], Sequence[float]]
"""Of a layer, a position in its program and the operations that can come there: a weight above 0 for each."""

KernelWeights = Callable[[int, Sequence[int]], Sequence[float]]
"""Of a layer and the kernel sizes that it can get: a weight above 0 for each."""


@dataclass(frozen=True)
class Child:
    """An edited genome, the edit, and with which probability its operation or kernel size was drawn, where one was."""

    genome: Genome
    edit: Edit
    probability: float | None = None


def draw_between(
    space: Space,
    genome: Genome,
    rng: np.random.Generator,
    kernel_weights: KernelWeights | None = None,
    rejected: Counter[str] | None = None,
) -> Child | None:
    """An edit between layers: a layer turned into the other kind, or a kernel size changed.

    Layers are equally likely, and what can be done with the layer likewise; a new attention layer takes a sampled
    program, a new kernel size is drawn by `kernel_weights`. None where the space allows no such edit.
    """
    able = [index for index in range(len(genome)) if _between(space, genome, index)]
    if not able:
        return None
    index = able[int(rng.integers(len(able)))]
    ways = _between(space, genome, index)
    way = ways[int(rng.integers(len(ways)))]
    before = genome.layers[index]
    probability = None
    if way == "turn" and isinstance(before, ConvolutionLayer):
        after = sample_layer(space, index, rng, rejected, "attention")
    else:
        kept = before.kernel if isinstance(before, ConvolutionLayer) else None
        sizes = [size for size in space.kernels if size != kept]
        weights = kernel_weights and partial(kernel_weights, index)
        chosen, probability = choose(sizes, rng, weights)
        after = ConvolutionLayer(chosen)
    return Child(genome.with_layer(index, after), LayerEdit(way, index, before, after), probability)


def _between(space: Space, genome: Genome, index: int) -> list[Literal["turn", "kernel"]]:
    if space.is_settled(index):
        return []
    ways: list[Literal["turn", "kernel"]] = ["turn"] if len(space.kinds(index)) > 1 else []
    if isinstance(genome.layers[index], ConvolutionLayer) and len(space.kernels) > 1:
        ways.append("kernel")
    return ways


def draw_within(
    space: Space,
    genome: Genome,
    rng: np.random.Generator,
    weights: LayerWeights | None = None,
    kinds: Sequence[ProgramEditKind] = tuple(KINDS),
    rejected: Counter[str] | None = None,
) -> Child | None:
    """An edit of the program of one attention layer, each as likely (see `draw_edit`). None where there is none."""
    able = [index for index, _ in genome.programs() if not space.is_settled(index)]
    if not able:
        return None
    index = able[int(rng.integers(len(able)))]
    layer = genome.layers[index]
    assert isinstance(layer, AttentionLayer)
    drawn = draw_edit(space, layer.program, rng, weights and partial(weights, index), kinds, rejected)
    if drawn is None:
        return None
    edited = genome.with_layer(index, AttentionLayer(drawn.program))
    return Child(edited, InLayer(index, drawn.edit), drawn.probability)


def draw_child(
    space: Space, genome: Genome, rng: np.random.Generator, rejected: Counter[str] | None = None
) -> Child | None:
    """A child by one edit, of either sort with equal chance where both are possible. None where neither is."""
    first, second = (draw_between, draw_within) if rng.random() < 0.5 else (draw_within, draw_between)
    return first(space, genome, rng, rejected=rejected) or second(space, genome, rng, rejected=rejected)
