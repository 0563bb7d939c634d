"""The layers of an architecture in short: runs and repeated blocks, so that pictures stay small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Layer
from autobertc.dsl.graph import Node

MAX_PLAIN = 24
"""Architectures of at most so many layers are drawn layer by layer."""
_MAX_PERIOD = 48


@dataclass(frozen=True)
class Run:
    """`count` equal layers, one after the other; the first is layer number `first`, from 1."""

    layer: Layer
    first: int
    count: int


@dataclass(frozen=True)
class Group:
    """Runs that stand `times` times, one after the other."""

    runs: tuple[Run, ...]
    times: int

    @property
    def first(self) -> int:
        """The number of the group's first layer."""
        return self.runs[0].first

    @property
    def count(self) -> int:
        """How many layers it stands for."""
        return self.times * sum(run.count for run in self.runs)


Symbol = Node | int


def symbol(layer: Layer) -> Symbol:
    """What tells layers apart in a picture: the root of a program, or a kernel size."""
    return layer.program.root if isinstance(layer, AttentionLayer) else layer.kernel


def summarize(layers: Sequence[Layer]) -> list[Group]:
    """The layers as groups: one layer each up to `MAX_PLAIN` layers, else repetition is folded."""
    if len(layers) <= MAX_PLAIN:
        return [Group((Run(layer, number, 1),), 1) for number, layer in enumerate(layers, 1)]
    runs = _runs(layers)
    tokens = [(symbol(run.layer), run.count) for run in runs]
    groups = []
    position = 0
    while position < len(runs):
        period, times = _repetition(tokens, position)
        groups.append(Group(tuple(runs[position : position + period]), times))
        position += period * times
    return groups


def _runs(layers: Sequence[Layer]) -> list[Run]:
    runs: list[Run] = []
    for number, layer in enumerate(layers, 1):
        if runs and symbol(runs[-1].layer) == symbol(layer):
            runs[-1] = Run(runs[-1].layer, runs[-1].first, runs[-1].count + 1)
        else:
            runs.append(Run(layer, number, 1))
    return runs


def _repetition(tokens: Sequence[tuple[Symbol, int]], start: int) -> tuple[int, int]:
    """The period at `start`, and its times there, that fold the most tokens; (1, 1) where none repeats."""
    best = (1, 1)
    for period in range(2, min(_MAX_PERIOD, (len(tokens) - start) // 2) + 1):
        times = 1
        block = tokens[start : start + period]
        while tokens[start + times * period : start + (times + 1) * period] == block:
            times += 1
        if (times - 1) * period > (best[1] - 1) * best[0]:
            best = (period, times)
    return best


def layers_by_symbol(architecture: Architecture) -> dict[Symbol, list[int]]:
    """The numbers, from 1, of the layers that hold each program or kernel size, in order of the first."""
    numbers: dict[Symbol, list[int]] = {}
    for number, layer in enumerate(architecture.layers, 1):
        numbers.setdefault(symbol(layer), []).append(number)
    return numbers


def kernels(architecture: Architecture) -> list[int]:
    """The kernel sizes in use, ascending."""
    return sorted({layer.kernel for layer in architecture.layers if isinstance(layer, ConvolutionLayer)})


def letter(index: int) -> str:
    """A, B, ..., Z, AA, AB, ... for 0, 1, ..."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def describe_numbers(numbers: Sequence[int]) -> str:
    """Layer numbers in few words: "layer 2", "layers 6, 8", "layers 1–12", "layers 2, 4, …, 1,000"."""  # noqa: RUF002
    first, last = numbers[0], numbers[-1]
    if len(numbers) == 1:
        return f"layer {first:,}"
    step = numbers[1] - first
    if len(numbers) > 2 and step == 1 and last - first == len(numbers) - 1:
        return f"layers {first:,}–{last:,}"  # noqa: RUF001
    if len(numbers) <= 8:
        return "layers " + ", ".join(f"{number:,}" for number in numbers)
    if all(after - before == step for before, after in pairwise(numbers)):
        return f"layers {first:,}, {numbers[1]:,}, …, {last:,}"
    return f"{len(numbers):,} layers from {first:,} to {last:,}"
