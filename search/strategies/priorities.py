"""Operation priority: equation 3 of the AutoBERT-Zero paper, made precise.

Each position of each layer has a distribution over the operations, each layer one over the kernel sizes:

    u_i = mu_i + alpha * sqrt(2 ln N / N_i)        p = softmax(u / tau) over what is legal there

N_i counts the candidates that had choice i there, N is the sum of the N_i, mu_i is their mean score, shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# What a genome is to the statistics: per layer, the operations at its positions in order, or one kernel size; all as
# indices into the space's lists.
Traits = Sequence["Sequence[int] | int"]


@dataclass(frozen=True)
class Preset:
    """How scores become probabilities.

    Attributes:
        alpha: weight of the exploration term.
        tau: temperature of the softmax; None sets it once, from the initial population, by `contrast`.
        contrast: what the median over positions of max p / min p is then to be.
        standardise: whether scores are taken less their median over their MAD (unscaled), or raw.
        shrinkage: n0; a mean of N_i scores has the weight N_i / (N_i + n0) beside the broader mean.
    """

    name: str
    alpha: float
    tau: float | None
    contrast: float = 5.0
    standardise: bool = True
    shrinkage: float = 2.0


PAPER = Preset("paper", alpha=0.01, tau=1.0, standardise=False)
CALIBRATED = Preset("calibrated", alpha=0.5, tau=None)


class Counts:
    """How often each choice was had at each slot of each layer, with the sum of those candidates' scores.

    `layers` [layers, slots, choices] counts a candidate once per layer. `pooled` [slots, choices] counts it once
    per slot, in however many layers it had the choice there.
    """

    def __init__(self, choices: int) -> None:
        self.choices = choices
        self.layers: Numbers = np.zeros((0, 0, choices))
        self.layer_sums: Numbers = np.zeros((0, 0, choices))
        self.pooled: Numbers = np.zeros((0, choices))
        self.pooled_sums: Numbers = np.zeros((0, choices))

    def add(self, had: Sequence[tuple[int, int, int]], score: float) -> None:
        """A candidate: (layer, slot, choice) for all that it had, no triple twice."""
        if not had:
            return
        layer, slot, choice = np.array(had).T
        self._grow(int(layer.max()) + 1, int(slot.max()) + 1)
        self.layers[layer, slot, choice] += 1
        self.layer_sums[layer, slot, choice] += score
        # Assignment by index adds once where an index is repeated, which is what pooling wants.
        self.pooled[slot, choice] += 1
        self.pooled_sums[slot, choice] += score

    def _grow(self, layers: int, slots: int) -> None:
        add_layers = max(0, layers - self.layers.shape[0])
        add_slots = max(0, slots - self.layers.shape[1])
        if add_layers or add_slots:
            self.layers = np.pad(self.layers, ((0, add_layers), (0, add_slots), (0, 0)))
            self.layer_sums = np.pad(self.layer_sums, ((0, add_layers), (0, add_slots), (0, 0)))
            self.pooled = np.pad(self.pooled, ((0, add_slots), (0, 0)))
            self.pooled_sums = np.pad(self.pooled_sums, ((0, add_slots), (0, 0)))

    def means(self, overall: float, shrinkage: float, centre: float, scale: float) -> Numbers:
        """mu [layers, slots, choices]: standardised by (score - centre) / scale; each layer's mean drawn toward the
        pooled mean, that toward `overall`, the standardised mean of all candidates. What was never had has it."""
        pooled = _shrink(self.pooled, self.pooled_sums, np.asarray(overall), shrinkage, centre, scale)
        return _shrink(self.layers, self.layer_sums, pooled, shrinkage, centre, scale)


def _shrink(counts: Numbers, sums: Numbers, toward: Numbers, shrinkage: float, centre: float, scale: float) -> Numbers:
    some = np.maximum(counts, 1)
    mean = np.where(counts > 0, (sums / some - centre) / scale, toward)
    weight = np.where(counts > 0, counts / (some + shrinkage), 0.0)
    return np.asarray(toward + weight * (mean - toward))


def upper_bounds(means: Numbers, counts: Numbers, alpha: float) -> Numbers:
    """Equation 3, [..., choices]: u_i = mu_i + alpha * sqrt(2 ln N / N_i), N over the last axis, N_i = 0 as 1."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
    return np.asarray(means + alpha * np.sqrt(2 * np.log(total) / np.maximum(counts, 1)))


def softmax(bounds: Sequence[float], tau: float) -> list[float]:
    """p of u / tau. A search does this for every draw, over a dozen numbers: too few to be worth an array."""
    highest = max(bounds)
    weights = [math.exp((bound - highest) / tau) for bound in bounds]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


class Statistics:
    """What the candidates evaluated so far say about operations and kernel sizes.

    Add each candidate once, by number: its first, successful evaluation. Sums are in that order, so they are the
    same numbers whether they grew over rounds or were made anew after a resume.
    """

    def __init__(self, operations: int, kernels: int) -> None:
        self.operations = Counts(operations)
        self.kernels = Counts(kernels)
        self.scores: list[float] = []

    def add(self, traits: Traits, score: float) -> None:
        operations: list[tuple[int, int, int]] = []
        kernels: list[tuple[int, int, int]] = []
        for layer, trait in enumerate(traits):
            if isinstance(trait, int | np.integer):
                kernels.append((layer, 0, int(trait)))
            else:
                operations.extend((layer, slot, choice) for slot, choice in enumerate(trait))
        self.operations.add(operations, score)
        self.kernels.add(kernels, score)
        self.scores.append(score)

    def scaling(self, preset: Preset) -> tuple[float, float]:
        """(centre, scale) of the scores: the median and the MAD. Where more than half of the scores are equal the MAD
        is 0 and the mean distance from the median stands in; 1 where all are."""
        if not preset.standardise or not self.scores:
            return 0.0, 1.0
        scores = np.array(self.scores)
        centre = float(np.median(scores))
        distances = np.abs(scores - centre)
        return centre, float(np.median(distances)) or float(distances.mean()) or 1.0

    def priorities(self, preset: Preset, tau: float | None = None) -> Priorities:
        """The distributions. `tau` stands in for the preset's; with neither, it is set by the preset's contrast from
        what has been added so far."""
        centre, scale = self.scaling(preset)
        overall = (math.fsum(self.scores) / len(self.scores) - centre) / scale if self.scores else 0.0
        operations, kernels = (
            upper_bounds(
                counts.means(overall, preset.shrinkage, centre, scale),
                counts.layers,
                preset.alpha,
            )
            for counts in (self.operations, self.kernels)
        )
        tau = preset.tau if tau is None else tau
        if tau is None:
            tau = _temperature(operations, self.operations.layers, preset.contrast)
        return Priorities(operations, kernels, self.operations.layers.copy(), tau)


def _temperature(bounds: Numbers, counts: Numbers, contrast: float) -> float:
    """The tau at which max p / min p = exp((max u - min u) / tau) has the median `contrast` over the positions.

    A position counts with the operations that some candidate had there, if they are two or more: an operation that
    the types never allow would otherwise be its least tried, and set the scale. (Of an even number of positions the
    median is that of the logarithms.)
    """
    had = counts > 0
    several = had.sum(axis=-1) > 1
    if not several.any():
        return 1.0
    high = np.where(had, bounds, -np.inf).max(axis=-1)[several]
    low = np.where(had, bounds, np.inf).min(axis=-1)[several]
    return float(np.median(high - low)) / math.log(contrast) or 1.0


@dataclass(frozen=True, eq=False)
class Priorities:
    """The distributions of one round.

    Attributes:
        operations: u [layers, positions, operations]; a layer or position beyond has had nothing: uniform.
        kernels: u [layers, 1, kernel sizes].
        counts: N_i of the operations.
        tau: the temperature.
    """

    operations: Numbers
    kernels: Numbers
    counts: Numbers
    tau: float

    def operation(self, layer: int, position: int, legal: Sequence[int]) -> list[float]:
        """p over the operations `legal` at a position, in their order."""
        return self._over(self.operations, layer, position, legal)

    def kernel(self, layer: int, legal: Sequence[int]) -> list[float]:
        """p over the kernel sizes `legal` in a layer."""
        return self._over(self.kernels, layer, 0, legal)

    def _over(self, bounds: Numbers, layer: int, slot: int, legal: Sequence[int]) -> list[float]:
        if layer >= bounds.shape[0] or slot >= bounds.shape[1]:
            return [1 / len(legal)] * len(legal)
        row = bounds[layer, slot].tolist()
        return softmax([row[choice] for choice in legal], self.tau)
