"""What is measured: cells of a table, implementations, cases, and what their values may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Function = Callable[..., Tensor]
Work = Callable[[], Sequence[Tensor]]

DIRECTIONS = ("forward", "forward + backward")
AGREEMENT = 4.0  # times the error of the naive program in the same type, plus one rounding


@dataclass(frozen=True)
class Cell:
    """One implementation of one thing at one size.

    Fields:
        section: "programs", "convolutions" or "models".
        subject: what is computed.
        implementation: by whom.
        direction: one of `DIRECTIONS`, or "training step".
        length, width: N, and D of a head or the width of a convolution; width is None for a model.
        status: "measured"; "disagrees" (measured, but its values are off); "failed", "out of memory", "too large",
            "left out" (no time was left) or "none" (there is no such implementation), with no times.
        note: the reason in words.
        ms, runs: the median time of a call, in milliseconds, and the medians of the rounds.
        tflops: TFLOP/s, by the FLOPs of the plan.
        memory_mib: the growth of the peak of allocated memory during a call.
        first_call_s: the first call, in seconds: compiling, or loading what was compiled ahead, and tuning.
        ahead_s: the first call in the process that compiled ahead, beside others; None where there was none.
        error, allowed: the largest relative error of result and gradients, and what it may be.
    """

    section: str
    subject: str
    implementation: str
    direction: str
    length: int
    width: int | None
    status: str = "measured"
    note: str = ""
    ms: float | None = None
    runs: tuple[float, ...] = ()
    tflops: float | None = None
    memory_mib: float | None = None
    first_call_s: float | None = None
    ahead_s: float | None = None
    error: float | None = None
    allowed: float | None = None


@dataclass(frozen=True)
class Contestant:
    """An implementation: a function of the case's tensors, or why there is none."""

    name: str
    function: Function | None
    missing: str = ""
    status: str = "none"
    directions: tuple[str, ...] = DIRECTIONS  # `missing` says why not the others
    gib: dict[str, float] = field(default_factory=dict)  # estimates of its memory by direction, where it may be large


@dataclass(frozen=True)
class Case:
    """One thing at one size, by several implementations.

    Attributes:
        section, subject, length, width: as of a `Cell`.
        tensors: what it is computed from, all differentiated.
        gradient: of the result.
        plain: the naive implementation, for any floating-point type.
        part: which part of results and gradients is compared, where that part depends on the same part of the tensors
            alone (a head of a sequence); empty for all.
        flops: by direction.
        contestants: the implementations, in the order of the table.
    """

    section: str
    subject: str
    length: int
    width: int
    tensors: tuple[Tensor, ...]
    gradient: Tensor
    plain: Function
    part: tuple[slice, ...]
    flops: dict[str, float]
    contestants: tuple[Contestant, ...]


def work_of(function: Function, tensors: Sequence[Tensor], gradient: Tensor, direction: str) -> Work:
    """A call to be made again and again: the result, and with "forward + backward" all gradients."""
    if direction == "forward":
        given = [tensor.detach() for tensor in tensors]

        def forward() -> Sequence[Tensor]:
            with torch.no_grad():
                return (function(*given),)

        return forward
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]

    def both() -> Sequence[Tensor]:
        result = function(*leaves)
        return (result, *torch.autograd.grad(result, leaves, gradient))

    return both


class Yardstick:
    """What results may be: the naive implementation in float64, and how far off it is in the type that is measured."""

    def __init__(self, case: Case, direction: str) -> None:
        self.part = case.part
        tensors = [tensor[case.part] for tensor in case.tensors]
        gradient = case.gradient[case.part]
        wide = [tensor.double() for tensor in tensors]
        self.expected = [x.detach() for x in work_of(case.plain, wide, gradient.double(), direction)()]
        plain = work_of(case.plain, tensors, gradient, direction)()
        rounding = torch.finfo(case.gradient.dtype).eps
        self.allowed = [AGREEMENT * (self._error(x, y) + rounding) for x, y in zip(plain, self.expected, strict=True)]

    @staticmethod
    def _error(found: Tensor, expected: Tensor) -> float:
        return float((found.detach().double() - expected).norm() / expected.norm().clamp_min(1e-30))

    def verdict(self, found: Sequence[Tensor]) -> tuple[float, float]:
        """The error, of result or gradient, that comes nearest to what it may be or exceeds it most, and that bound."""
        errors = [self._error(x[self.part], y) for x, y in zip(found, self.expected, strict=True)]
        return max(zip(errors, self.allowed, strict=True), key=lambda pair: _worse(pair[0]) / pair[1])


def _worse(error: float) -> float:
    return error if error == error else float("inf")  # NaN
