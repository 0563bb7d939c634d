"""Generated kernels in the process."""

from __future__ import annotations

from typing import Any

from autobertc.compiler.fusion.fused_text import FusedText, fuse
from autobertc.compiler.module_text import kernels_text
from autobertc.dsl.graph import Program
from autobertc.runtime.execution import execute, known


def load_kernels(fused: FusedText) -> Any:
    """A program's kernels as a function, `Fused` of the modelling package; executed once in a process."""
    module = f"kernels_{fused.name.lower()}"
    return getattr(known(module) or execute(module, kernels_text([fused], fused.name.lower())), fused.name)


def load_fused(program: Program, name: str) -> Any:
    """The kernels of a program under a name. Raises `MissingKernel`."""
    return load_kernels(fuse(program, name))
