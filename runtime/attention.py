"""`compile_attention`: an expression of the language as a function on tensors, for anyone's own model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from autobertc.compiler.eager import lower
from autobertc.compiler.fusion.fused_text import fuse
from autobertc.compiler.modeling import functional
from autobertc.compiler.modeling.backends import run
from autobertc.compiler.module_text import BACKENDS
from autobertc.dsl.checker import check_expression, read_program
from autobertc.dsl.graph import Program, print_program
from autobertc.dsl.ops.calculus import MissingKernel
from autobertc.runtime.build import check_choice
from autobertc.runtime.kernels import load_kernels


def _seeded(seed: int | None, device: torch.device) -> AbstractContextManager[object]:
    if seed is None:
        return nullcontext()
    context = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    return _Seeded(context, seed)


class _Seeded(AbstractContextManager[object]):
    def __init__(self, context: AbstractContextManager[object], seed: int) -> None:
        self.context, self.seed = context, seed

    def __enter__(self) -> object:
        entered = self.context.__enter__()
        torch.manual_seed(self.seed)
        return entered

    def __exit__(self, *exception: object) -> None:
        self.context.__exit__(*exception)  # type: ignore[arg-type]


class CompiledAttention:
    """A compiled expression. Call it as `f(Q=q, K=k, mask=m)`, with the inputs that the expression uses.

    Attributes:
        program: its graph.
        inputs: the inputs it takes, of Q, K, V and P.
        source: the Python that runs.
    """

    def __init__(self, program: Program, backend: str) -> None:
        lowered = lower(program, "compiled", str(program).rstrip())
        self._kernels = None if backend == "eager" else _lazy_kernels(program, backend)
        namespace: dict[str, object] = {"torch": torch, "F": F, **vars(functional)}
        exec(compile(lowered.source, "<autobertc attention>", "exec"), namespace)
        self.program = program
        self.backend = backend
        self.inputs = lowered.inputs
        self.source = lowered.source
        self._function: Callable[..., Tensor] = namespace["compiled"]  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Callable[[str, str], CompiledAttention], tuple[str, str]]:
        """Copied and pickled as text: what runs is made from it."""
        return _restored, (print_program(self.program), self.backend)

    def __repr__(self) -> str:
        return f"CompiledAttention({', '.join(self.inputs)}; {self.backend})"

    def __call__(
        self,
        *,
        Q: Tensor | None = None,
        K: Tensor | None = None,
        V: Tensor | None = None,
        P: Tensor | None = None,
        mask: Tensor | None = None,
        dropout_p: float = 0.0,
        seed: int | None = None,
    ) -> Tensor:
        """Apply the program to every head.

        Args:
            Q, K, V, P: `[batch, heads, N, D]`, of one shape, dtype and device; those that the program uses.
            mask: `[batch, N]`, bool, True for real tokens; None means all are real. Results at the others are finite
                and mean nothing.
            dropout_p: rate of dropout on attention maps, from 0 to below 1.
            seed: repeats a dropout mask; None draws from torch's generator.

        Returns:
            `[batch, heads, N, D]`, differentiable in every input.

        Raises:
            TypeError: inputs missing, or given and not used.
            ValueError: shapes, dtypes or rates that do not fit.
        """
        given = {name: value for name, value in zip("QKVP", (Q, K, V, P), strict=True) if value is not None}
        if tuple(given) != self.inputs:
            raise TypeError(f"the program takes {', '.join(self.inputs)}; given: {', '.join(given) or 'none'}")
        first = next(iter(given.values()))
        for name, value in given.items():
            if value.ndim != 4 or value.shape != first.shape:
                raise ValueError(
                    f"inputs have one shape [batch, heads, N, D]; {name} is {list(value.shape)}, "
                    f"{self.inputs[0]} is {list(first.shape)}"
                )
            if value.dtype != first.dtype or not value.is_floating_point() or value.device != first.device:
                raise ValueError(
                    f"inputs have one floating-point dtype and device; {name} is {value.dtype} on {value.device}, "
                    f"{self.inputs[0]} is {first.dtype} on {first.device}"
                )
        if mask is not None and (
            mask.dtype != torch.bool or mask.shape != (first.shape[0], first.shape[2]) or mask.device != first.device
        ):
            raise ValueError(
                f"mask is [batch, N], here {[first.shape[0], first.shape[2]]}, bool, True for real tokens, on "
                f"{first.device}; found {list(mask.shape)}, {mask.dtype}, on {mask.device}"
            )
        if not 0.0 <= dropout_p < 1.0:
            raise ValueError(f"dropout_p is from 0 to below 1, found {dropout_p}")
        with _seeded(seed, first.device):
            return run(self.backend, self._function, self._kernels, tuple(given.values()), mask, dropout_p)


def _lazy_kernels(program: Program, backend: str) -> Callable[[], Callable[..., Tensor]] | None:
    """The program's kernels, made when first used; None under "auto" without a GPU, or where a primitive has no kernel.

    Raises `MissingKernel` under "triton".
    """
    try:
        if backend == "auto" and not torch.cuda.is_available():
            return None
        fused = fuse(program, f"attention_{program.key[:16]}")
    except MissingKernel:
        if backend == "triton":
            raise
        return None
    return cache(partial(load_kernels, fused))


def _restored(text: str, backend: str) -> CompiledAttention:
    return CompiledAttention(read_program(text), backend)


def compile_attention(expression: str, backend: str = "auto") -> CompiledAttention:
    """Compile one expression of the language, of type [N,D], or of type [N,N], which is applied to V.

    `backend` is "eager", "triton" (fused kernels), or "auto", which picks by device. Raises `AbzError` for a faulty
    expression, `ValueError` for an unknown backend, `MissingKernel` for a primitive without kernel under "triton".
    """
    check_choice("backend", backend, BACKENDS)
    return CompiledAttention(check_expression(expression), backend)
