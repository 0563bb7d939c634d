"""Generated kernels in the process."""

from __future__ import annotations

from typing import Any

from autobertc.compiler.fusion.fused_text import fuse
from autobertc.compiler.module_text import kernels_text
from autobertc.dsl.graph import Program
from autobertc.runtime.execution import execute


def load_fused(program: Program, name: str) -> Any:
    """The kernels of a program as a function, `Fused` of the modelling package. Raises `MissingKernel`."""
    fused = fuse(program, name)
    module = execute(f"kernels_{name}", kernels_text([fused], name))
    return getattr(module, fused.name)
