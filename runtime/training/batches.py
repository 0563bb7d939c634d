"""Batches that grow: which rows a step has, known from its number alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


def batch_sizes(steps: int, batch: int, share: float, quantum: int = 1) -> NDArray[np.int64]:
    """Sequences of each step, `[steps]`: in the first `share` of them they grow in a straight line to `batch`.

    Each is a multiple of `quantum`, which divides `batch`: how many micro-batches a step has, over all devices.
    """
    ramp = round(share * steps)
    growing = np.ceil(np.arange(1, ramp + 1) / (ramp + 1) * (batch // quantum)).astype(np.int64) * quantum
    return np.concatenate([growing, np.full(steps - ramp, batch, np.int64)])


def steps_within(rows: int, batch: int, share: float, quantum: int = 1) -> int:
    """The greatest number of steps whose batches have at most so many rows together."""
    low, high = 0, 2 * (rows // batch) + 2
    while high - low > 1:  # a longer run never has fewer rows
        middle = (low + high) // 2
        low, high = (middle, high) if batch_sizes(middle, batch, share, quantum).sum() <= rows else (low, middle)
    return low


class RampSampler(Sampler[list[int]]):
    """A device's micro-batches: of every step the same number, in rows one after the other.

    Args:
        sizes: sequences of each step over all devices, multiples of `times * devices`.
        times: micro-batches a step and device.
        device: this one's number.
    """

    def __init__(self, sizes: NDArray[np.int64], times: int, devices: int = 1, device: int = 0) -> None:
        self.sizes, self.times, self.devices, self.device = sizes, times, devices, device

    def __len__(self) -> int:
        return len(self.sizes) * self.times

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for size in self.sizes.tolist():
            micro = size // (self.times * self.devices)
            for number in range(self.times):
                first = start + (number * self.devices + self.device) * micro
                yield list(range(first, first + micro))
            start += size
