"""Tile sizes of kernels: the candidates, and which one a launch takes.

Candidates are data, the likeliest first; those that cannot fit a multiprocessor are left out before anything is
compiled. On a GPU the first launch of a kernel on a new kind of tensors times them and writes the choice down
(tuning.py); where nothing can be timed, under `torch.compile` or in the interpreter, the first one is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .operators import INTERPRETING
from .tuning import known_choice, tuned

# Of a thread, the registers of sums and score tiles. With more than MOST_REGISTERS a kernel keeps much on the stack;
# beyond LIKELY_REGISTERS, with STAGE_REGISTERS for each pipeline stage, it often keeps a little. Measured by
# tests/aot.py on sm_90, where a thread has 255.
MOST_REGISTERS = 160
LIKELY_REGISTERS = 144
STAGE_REGISTERS = 8
# Shared memory of a block, where the device does not say.
SHARED = 160 * 1024


@dataclass(frozen=True)
class Configuration:
    """Tokens owned and streamed by a program, features of a comparison read at once, warps, and pipeline stages."""

    owned: int
    streamed: int
    warps: int = 4
    stages: int = 2
    chunk: int = 16

    def blocks(self, stage: Any) -> dict[str, int]:
        """The tile sizes that a stage's kernel takes."""
        sizes = {}
        if stage.kind in ("rows", "stream", "map"):
            sizes["BLOCK_I"] = self.owned
        if stage.kind in ("stream", "map", "state"):
            sizes["BLOCK_J"] = self.streamed
        if "compares" in stage.flags:
            sizes["CHUNK"] = self.chunk
        return sizes


_STREAM = (
    Configuration(128, 64, 8, 3),
    Configuration(64, 64, 4, 3),
    Configuration(128, 64, 8, 2),
    Configuration(128, 64, 4, 3),
    Configuration(128, 128, 8, 2),
    Configuration(64, 64, 4, 2),
    Configuration(64, 64, 8, 2),
    Configuration(64, 32, 4, 2),
    Configuration(64, 32, 4, 1),
    Configuration(32, 32, 4, 1),
    Configuration(16, 32, 4, 1),
    Configuration(16, 16, 4, 1),
)
_TRIPLES = (
    Configuration(16, 16, 4, 1, chunk=16),
    Configuration(16, 16, 8, 1, chunk=16),
    Configuration(16, 16, 16, 1, chunk=16),
)
_COMPARES = (
    Configuration(64, 64, 8, 2, chunk=4),
    Configuration(64, 32, 4, 2, chunk=8),
    Configuration(32, 32, 4, 1, chunk=8),
    Configuration(16, 16, 4, 1, chunk=16),
)
_ROWS = (
    Configuration(64, 16, 4, 1),
    Configuration(128, 16, 8, 1),
    Configuration(64, 16, 8, 1),
    Configuration(32, 16, 4, 1),
    Configuration(16, 16, 4, 1),
)
_STATE = (
    Configuration(16, 64, 4, 3),
    Configuration(16, 64, 8, 2),
    Configuration(16, 32, 4, 2),
    Configuration(16, 32, 8, 1),
    Configuration(16, 16, 8, 1),
)
_SQUARE = (Configuration(16, 16, 4, 1), Configuration(16, 16, 8, 1), Configuration(16, 16, 16, 1))
_MAP = (Configuration(64, 64, 4, 1), Configuration(64, 64, 8, 1), Configuration(32, 32, 4, 1))


def candidates(stage: Any, block_d: int, itemsize: int, shared: int = SHARED) -> tuple[Configuration, ...]:
    """The configurations that may serve a stage, best guess first, for heads of `block_d` features.

    Those that are likely to keep values on the stack come last. `itemsize` is that of the inputs, `shared` the shared
    memory of a block, in bytes. At least one is returned.
    """
    found: tuple[Configuration, ...]
    if "triples" in stage.flags:
        found = _TRIPLES
    elif "compares" in stage.flags and stage.kind in ("stream", "map"):
        found = _COMPARES
    else:
        found = {"stream": _STREAM, "rows": _ROWS, "state": _STATE, "square": _SQUARE, "map": _MAP}[stage.kind]
    fitting = [one for one in found if _fits(stage, one, block_d, itemsize, shared)]
    return tuple(sorted(fitting, key=lambda one: _spills(stage, one, block_d))) or found[-1:]


def _fits(stage: Any, one: Configuration, block_d: int, itemsize: int, shared: int) -> bool:
    if stage.kind not in ("stream", "state"):
        return bool(one.owned * block_d <= 64 * 128 * (one.warps // 4))
    reads, _, _ = stage.sizes
    rows = block_d if stage.kind == "state" else one.owned
    memory = itemsize * (reads * one.streamed * block_d * one.stages + rows * block_d + rows * one.streamed)
    return bool(memory <= shared and _registers(stage, one, block_d) <= MOST_REGISTERS)


def _spills(stage: Any, one: Configuration, block_d: int) -> bool:
    return _registers(stage, one, block_d) + STAGE_REGISTERS * one.stages > LIKELY_REGISTERS


def _registers(stage: Any, one: Configuration, block_d: int) -> float:
    """Registers of a thread that hold sums and score tiles all the time."""
    _, totals, maps = stage.sizes
    rows = block_d if stage.kind == "state" else one.owned
    return float((totals * rows * block_d + maps * rows * one.streamed) / (32 * one.warps))


@cache
def _shared_memory(device: torch.device) -> int:
    properties = torch.cuda.get_device_properties(device)
    return int(getattr(properties, "shared_memory_per_block_optin", SHARED))


@cache
def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device)


def choose(
    stage: Any, like: Tensor, block_d: int, launch: Callable[[Configuration], None] | None = None
) -> Configuration:
    """The configuration of a launch on tensors like `[batch, heads, N, D]`; `launch` runs the kernel with one."""
    if INTERPRETING:
        return Configuration(32, 32, chunk=block_d)
    if not like.is_cuda:
        return candidates(stage, block_d, like.element_size())[0]
    length = like.shape[-2]
    found = candidates(stage, block_d, like.element_size(), _shared_memory(like.device))
    key = (_device_name(like.device), stage.key, str(like.dtype), block_d, 1 << (length - 1).bit_length())
    # A compiler passes tensors of its own, which hold nothing to time.
    if launch is None or type(like) is not Tensor:
        return known_choice(key, found) or found[0]
    return tuned(key, found, launch, stage.kernel_name)
