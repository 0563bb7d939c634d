"""The cases of the GPU benchmark: programs and convolutions with their tensors and implementations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from gpu_cases import DIRECTIONS, Case, Contestant, Function
from gpu_programs import Subject, sdpa, subjects
from models import conv1d, naive_function
from torch import Tensor

from autobertc.compiler.modeling import convolution, triton_convolution
from autobertc.runtime.attention import CompiledAttention

WIDTHS = (3, 5, 7, 9, 15, 31, 65)


@dataclass(frozen=True)
class Scope:
    """How large things are; the defaults are what is published, `SMOKE` what the interpreter can do.

    Fields:
        device, dtype: of all tensors.
        tokens: batch times N of a program, whatever N is.
        features: heads times D of a program.
        batch, length, channels, heads: of a convolution.
        compiles: whether torch.compile takes part, and FlexAttention has its kernels and a backward pass.
    """

    device: str = "cuda"
    dtype: torch.dtype = torch.bfloat16
    tokens: int = 16384
    features: int = 2048
    batch: int = 32
    length: int = 512
    channels: int = 768
    heads: int = 12
    compiles: bool = True

    def shape(self, length: int, head_dim: int) -> tuple[int, int, int, int]:
        """`[batch, heads, N, D]` of a program's inputs."""
        return max(1, self.tokens // length), max(1, self.features // head_dim), length, head_dim

    def draw(self, *shape: int, seed: int) -> Tensor:
        """Normally distributed numbers, the same for all who ask with one seed."""
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=self.device).to(self.dtype)


SMOKE = Scope("cpu", torch.float32, 64, 32, batch=2, length=64, channels=32, heads=2, compiles=False)


@cache
def all_subjects() -> dict[str, Subject]:
    """The programs, by name."""
    return {subject.name: subject for subject in subjects()}


@cache
def _attention(subject: Subject, backend: str) -> CompiledAttention:
    return CompiledAttention(subject.program, backend)


def _by_names(attention: CompiledAttention) -> Function:
    def function(*tensors: Tensor) -> Tensor:
        return attention(**dict(zip(attention.inputs, tensors, strict=True)))

    return function


def _plain(subject: Subject) -> Function:
    naive = naive_function(subject.program)
    return lambda *tensors: naive(*tensors, None, 0.0)


def _compiled(function: Function) -> Function:
    compiled: Function = torch.compile(function, fullgraph=True, dynamic=False)
    return compiled


def _flex(subject: Subject, scope: Scope) -> Contestant:
    if subject.flex is None:
        return Contestant("FlexAttention", None, subject.how)
    if scope.compiles:
        return Contestant("FlexAttention", _compiled(subject.flex))
    return Contestant("FlexAttention", subject.flex, "has no backward pass on a processor", directions=DIRECTIONS[:1])


def _torch_compile(function: Function, scope: Scope, gib: dict[str, float] | None = None) -> Contestant:
    if not scope.compiles:
        return Contestant("torch.compile", None, "not in a smoke run")
    return Contestant("torch.compile", _compiled(function), gib=gib or {})


def program_contestants(subject: Subject, scope: Scope, length: int, head_dim: int) -> tuple[Contestant, ...]:
    """Everyone who computes a program."""
    batch, heads, *_ = scope.shape(length, head_dim)
    one_map = batch * heads * length**2 * scope.dtype.itemsize / 2**30
    maps = subject.maps()
    # Forward a value and its operand live at once; backward needs all of them and gradients. Compiled, fewer.
    naive_gib = dict(zip(DIRECTIONS, (min(2, maps) * one_map, (maps + 1) * one_map), strict=True))
    fused_gib = dict(zip(DIRECTIONS, (min(2, maps) * one_map, min(3, maps + 1) * one_map), strict=True))
    plain = _plain(subject)
    attention = subject.attention
    by_sdpa = None if attention is None else lambda *tensors: attention(sdpa, *tensors)
    no_library = "scores are not those of softmax attention"
    auto = _by_names(_attention(subject, "auto")) if attention is not None else None
    return (
        Contestant("kernels", _by_names(_attention(subject, "triton"))),
        _flex(subject, scope),
        _torch_compile(plain, scope, fused_gib),
        Contestant("naive", plain, gib=naive_gib),
        Contestant("SDPA", by_sdpa, no_library),
        Contestant("auto", auto, "measured where SDPA applies"),
    )


def program_case(name: str, scope: Scope, length: int, head_dim: int) -> Case:
    """A program at a size."""
    subject = all_subjects()[name]
    shape = scope.shape(length, head_dim)
    tensors = tuple(scope.draw(*shape, seed=seed) for seed, _ in enumerate(subject.program.inputs, start=1))
    flops = {key: float(count * shape[0] * shape[1]) for key, count in subject.flops(length, head_dim).items()}
    return Case(
        section="programs",
        subject=name,
        length=length,
        width=head_dim,
        tensors=tensors,
        gradient=scope.draw(*shape, seed=0),
        plain=_plain(subject),
        part=(slice(0, 1), slice(0, 1)),
        flops=flops,
        contestants=program_contestants(subject, scope, length, head_dim),
    )


def _by_conv1d(gates: Tensor, kernel: Tensor) -> Tensor:
    return conv1d(F.glu(gates, dim=-1), kernel)


def _without_mask(function: Callable[..., Any]) -> Function:
    return lambda gates, kernel: function(gates, kernel, None)


def convolution_case(scope: Scope, width: int) -> Case:
    """The gated convolution of a base model's layer."""
    batch, length, channels = scope.batch, scope.length, scope.channels
    kernel = torch.softmax(scope.draw(scope.heads, width, seed=2).float(), dim=-1).to(scope.dtype)
    forward = 2.0 * width * batch * length * channels
    return Case(
        section="convolutions",
        subject="gated convolution",
        length=length,
        width=width,
        tensors=(scope.draw(batch, length, 2 * channels, seed=1), kernel),
        gradient=scope.draw(batch, length, channels, seed=0),
        plain=_by_conv1d,
        part=(),
        flops={"forward": forward, "forward + backward": 3 * forward},
        contestants=(
            Contestant("kernels", _without_mask(triton_convolution.gated_convolution)),
            _torch_compile(_by_conv1d, scope),
            Contestant("conv1d", _by_conv1d),
            Contestant("eager", _without_mask(convolution.gated_convolution)),
        ),
    )
