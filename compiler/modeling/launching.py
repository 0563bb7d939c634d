"""Tile sizes of kernels: the candidates, and which one a launch takes."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .operators import INTERPRETING


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


def choose(stage: Any, like: Tensor) -> Configuration:
    """The configuration of a launch on tensors like `[batch, heads, N, D]`."""
    if INTERPRETING:
        return Configuration(32, 32, chunk=128)
    return Configuration(64, 64)
