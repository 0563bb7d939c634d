"""Fused kernels of a program as one differentiable function: buffers, launches, registration with torch.

What a program's stages are is data, written by the compiler beside the kernels (`Stage`, `LibraryCall`, `Fused`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .kernel_functions import add_pieces, join_statistics
from .launching import Configuration, choose
from .operators import INTERPRETING, dot_precision, on_device, register_operator, rows_contiguous, triton, wrap_triton

# Of a buffer, by its kind; N tokens, D features. Softmax statistics are two numbers: a maximum, an inverse sum.
SHAPES = {
    "rows": "ND",
    "tokens": "N",
    "tokens_twice": "2N",
    "features": "D",
    "features_twice": "2D",
    "square": "DD",
    "map": "NN",
}
PIECE = 1024  # tokens summed by one program of a state stage; the sums of pieces are added in order
JOINED = 1024  # elements of the sums of pieces that one program adds
MAX_HEAD_DIM = 256
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Stage:
    """One kernel.

    Attributes:
        kernel: the kernel.
        kind: what it owns and streams: rows, stream, state, square or map.
        reads, writes: names of buffers.
        strided: those that come with strides.
        flags: what else it takes: "draws", "compares"; "triples" bears on its tile sizes.
        sizes: how many tiles of rows it streams, of [tile, D] sums and of score tiles it holds.
        key: a hash of the kernel's text, under which its tile sizes are kept.
        sums: for a state stage, which results are sums; the others are softmax statistics.
    """

    kernel: Any
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    strided: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    sizes: tuple[int, int, int] = (1, 1, 1)
    sums: tuple[str, ...] = ()
    key: str = ""

    @property
    def kernel_name(self) -> str:
        return str(getattr(self.kernel, "fn", self.kernel).__name__)


@dataclass(frozen=True, eq=False)
class LibraryCall:
    """A contraction of two N x N maps: `function` on the named buffers, each transposed first where it says so."""

    function: Callable[..., Tensor]
    reads: tuple[tuple[str, bool], ...]
    writes: tuple[str, ...]
    kind: str = "library"


@dataclass(frozen=True, eq=False)
class Direction:
    """The stages of one direction, and its results: buffers, some of them perhaps twice or given ones."""

    stages: tuple[Stage | LibraryCall, ...]
    results: tuple[str, ...]


@dataclass(frozen=True)
class _Call:
    """What all launches of one call share."""

    mask: Tensor | None
    seed: Tensor | None
    dropout_p: float


@dataclass(eq=False)
class Fused:
    """A program's kernels, forward and backward.

    Attributes:
        name: the program's name.
        inputs: the inputs it takes, in order.
        buffers: the kind of every buffer, by name.
        forward, backward: the stages.
        kept: what the backward pass reads of the forward pass's values.
        sites: how many dropout masks there are.

    The tensors are `[batch, heads, N, D]`, N any, D up to 256, float32, float16 or bfloat16; arithmetic is float32.
    Products of float32 take TF32 where torch's own setting for matrix products does.
    """

    name: str
    inputs: tuple[str, ...]
    buffers: Mapping[str, str]
    forward: Direction
    backward: Direction
    kept: tuple[str, ...]
    sites: int
    module: str = __name__
    _operator: Any = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """A hash of all kernels, under which measurements are kept."""
        stages = (*self.forward.stages, *self.backward.stages)
        return "-".join(stage.key if isinstance(stage, Stage) else "library" for stage in stages)

    def __post_init__(self) -> None:
        backward = register_operator(*self._backward_functions())
        self._operator = register_operator(*self._forward_functions(backward))

    def __call__(self, *arguments: Any) -> Tensor:
        """`(*inputs, mask, dropout_p)` to the result, like an eager program.

        Raises:
            RuntimeError: no Triton, or tensors that no kernel can reach.
            ValueError: a head width or a dtype that kernels do not take.
        """
        *inputs, mask, dropout_p = arguments
        check_device(inputs[0])
        if inputs[0].shape[-1] > MAX_HEAD_DIM:
            raise ValueError(f"fused kernels take heads up to {MAX_HEAD_DIM} wide, found {inputs[0].shape[-1]}")
        if inputs[0].dtype not in DTYPES:
            raise ValueError(f"fused kernels take float32, float16 and bfloat16, not {inputs[0].dtype}")
        if inputs[0].numel() == 0:
            return torch.zeros_like(inputs[0])
        dtype = inputs[0].dtype
        if INTERPRETING and dtype == torch.bfloat16:
            inputs = [value.float() for value in inputs]
        seed = None
        if dropout_p > 0.0 and self.sites:
            seed = torch.randint(0, 2**31, (1,), device=inputs[0].device)
        keep = torch.is_grad_enabled() and any(value.requires_grad for value in inputs)
        outputs: list[Tensor] = self._operator(inputs, mask, seed, dropout_p, keep)
        return outputs[0].to(dtype)

    # ------------------------------------------------------------ operators

    def _forward_functions(self, backward_operator: Any) -> tuple[Callable[..., Any], ...]:
        kept = [name for name in self.kept if name not in self.forward.results]

        def forward(
            inputs: list[Tensor], mask: Tensor | None, seed: Tensor | None, dropout_p: float, keep: bool
        ) -> list[Tensor]:
            values = {name: rows_contiguous(value) for name, value in zip(self.inputs, inputs, strict=True)}
            absent = () if keep else tuple(kept)
            self._run(self.forward, values, _call(mask, seed, dropout_p), absent)
            results = [_own(values, self.forward.results, index) for index in range(len(self.forward.results))]
            return [*results, *(values[name] for name in kept)] if keep else results

        def fake(
            inputs: list[Tensor], mask: Tensor | None, seed: Tensor | None, dropout_p: float, keep: bool
        ) -> list[Tensor]:
            first = inputs[0]
            return [_result_like(first), *(self._empty(name, first) for name in (kept if keep else ()))]

        def save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
            values, mask, seed, dropout_p, _ = inputs
            names = dict(zip([*self.forward.results, *kept], output, strict=False))
            ctx.save_for_backward(*values, *(names[name] for name in self.kept if name in names), mask, seed)
            ctx.dropout_p = dropout_p
            ctx.set_materialize_grads(False)

        def backward(context: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
            *values, mask, seed = context.saved_tensors
            count = len(self.inputs)
            (gradient, *_) = gradients
            if gradient is None:
                return [None] * count, None, None, None, None
            results = backward_operator(gradient, values[:count], values[count:], mask, seed, context.dropout_p)
            return results, None, None, None, None

        return self._named(forward, "forward"), fake, backward, save

    def _backward_functions(self) -> tuple[Callable[..., Any], ...]:
        def backward(
            gradient: Tensor,
            inputs: list[Tensor],
            kept: list[Tensor],
            mask: Tensor | None,
            seed: Tensor | None,
            dropout_p: float,
        ) -> list[Tensor]:
            values = {name: rows_contiguous(value) for name, value in zip(self.inputs, inputs, strict=True)}
            values |= dict(zip(self.kept, kept, strict=True))
            values["gradient"] = rows_contiguous(gradient)
            self._run(self.backward, values, _call(mask, seed, dropout_p), ())
            return [_own(values, self.backward.results, index) for index in range(len(self.backward.results))]

        def fake(
            gradient: Tensor,
            inputs: list[Tensor],
            kept: list[Tensor],
            mask: Tensor | None,
            seed: Tensor | None,
            dropout_p: float,
        ) -> list[Tensor]:
            return [_result_like(value) for value in inputs]

        return self._named(backward, "backward"), fake

    def _named(self, function: Callable[..., Any], direction: str) -> Callable[..., Any]:
        function.__name__ = f"{self.name}_{direction}"
        function.__module__ = self.module
        return function

    # ------------------------------------------------------------ launches

    def _empty(self, name: str, like: Tensor) -> Tensor:
        batch, heads, length, width = like.shape
        kind = self.buffers[name]
        sizes = [{"N": length, "D": width, "2": 2}[symbol] for symbol in SHAPES[kind]]
        # float16 may overflow in values that the program's text does not have.
        dtype = like.dtype if kind == "rows" and like.dtype != torch.float16 else torch.float32
        return like.new_empty((batch, heads, *sizes), dtype=dtype)

    def _run(self, direction: Direction, values: dict[str, Tensor], call: _Call, absent: tuple[str, ...]) -> None:
        like = values[self.inputs[0]]
        read = {name if isinstance(name, str) else name[0] for stage in direction.stages for name in stage.reads}
        with on_device(like), np.errstate(all="ignore"):  # for the interpreter, which computes with NumPy
            for stage in direction.stages:
                if isinstance(stage, LibraryCall):
                    given = [values[name].mT if turned else values[name] for name, turned in stage.reads]
                    values[stage.writes[0]] = stage.function(*given)
                    continue
                for name in stage.writes:
                    if name in direction.results:
                        values[name] = _result_like(like)
                    elif name in read or name not in absent:
                        values[name] = self._empty(name, like)
                self._launch(stage, values, call, like)

    def _launch(self, stage: Stage, values: dict[str, Tensor], call: _Call, like: Tensor) -> None:
        def launch(configuration: Configuration) -> None:
            self._launch_as(configuration, stage, values, call, like)

        launch(choose(stage, like, block_d(like.shape[-1]), launch))

    def _launch_as(
        self, configuration: Configuration, stage: Stage, values: dict[str, Tensor], call: _Call, like: Tensor
    ) -> None:
        batch, heads, length, _ = like.shape
        owned = -(-length // configuration.owned)
        buffers: dict[str, Any] = {name: values.get(name) for name in (*stage.reads, *stage.writes)}
        # Along the first axis, which alone may be longer than 65,535.
        grid: tuple[int, ...] = (owned * batch * heads,)
        extra: dict[str, Any] = {}
        pieces = 1
        if stage.kind == "square":
            grid = (batch * heads,)
        elif stage.kind == "map":
            grid = (owned * batch * heads, -(-length // configuration.streamed))
        elif stage.kind == "state":
            pieces = -(-length // PIECE)
            grid = (pieces * batch * heads,)
            extra["size"] = PIECE
            if pieces > 1:
                for name in stage.writes:
                    buffers[name] = values[name].new_empty((pieces, *values[name].shape))
        arguments = launch_arguments(stage, buffers, configuration, like, call.mask)
        if "draws" in stage.flags:
            extra |= {"seed": call.seed, "dropout_p": call.dropout_p, "DROPOUT": call.seed is not None}
        wrap_triton(stage.kernel)[grid](
            **arguments,
            **extra,
            mask=call.mask,
            H=heads,
            N=length,
            num_warps=configuration.warps,
            num_stages=configuration.stages,
        )
        for name in stage.writes if pieces > 1 else ():
            _join_pieces(buffers[name], values[name], name in stage.sums)


def launch_arguments(
    stage: Stage, buffers: Mapping[str, Any], configuration: Configuration, like: Tensor, mask: Tensor | None
) -> dict[str, Any]:
    """The buffers of a launch with their strides, and its constants."""
    arguments = dict(buffers)
    for name in stage.strided:
        b, h, n, _ = buffers[name].stride()
        arguments |= {f"{name}_b": b, f"{name}_h": h, f"{name}_n": n}
    length, width = like.shape[-2:]
    blocks = configuration.blocks(stage)
    whole = all(length % size == 0 for name, size in blocks.items() if name in ("BLOCK_I", "BLOCK_J"))
    precision = dot_precision(like.dtype) if like.dtype == torch.float32 else "tf32"
    return {
        **arguments,
        **blocks,
        "D": width,
        "BLOCK_D": block_d(width),
        "ROOT": width**-0.5,
        "DTYPE": str(like.dtype).removeprefix("torch."),
        "PRECISION": precision,
        "FULL": whole and mask is None and stage.kind != "state",
    }


def block_d(width: int) -> int:
    """Features of a tile: a power of two."""
    return max(16, 1 << (width - 1).bit_length())


def check_device(x: Tensor) -> None:
    """Raise `RuntimeError` where kernels cannot run on the tensor's device."""
    if triton is None:
        raise RuntimeError(
            "the Triton backend needs Triton, which is not installed: pip install triton, or use the eager backend"
        )
    if x.device.type == "cpu" and not INTERPRETING:
        raise RuntimeError(
            "the Triton backend needs a GPU, and the tensors are on the CPU: move model and inputs to a GPU, use the "
            "eager backend, or start Python with TRITON_INTERPRET=1 to run kernels on the CPU, slowly, to check them"
        )


def _call(mask: Tensor | None, seed: Tensor | None, dropout_p: float) -> _Call:
    return _Call(None if mask is None else mask.contiguous().view(torch.uint8), seed, dropout_p)


def _result_like(x: Tensor) -> Tensor:
    """An empty tensor like x, `[batch, heads, N, D]`, that lies token by token: heads are joined without a copy."""
    batch, heads, length, width = x.shape
    return x.new_empty((batch, length, heads, width)).transpose(1, 2)


def _own(values: Mapping[str, Tensor], results: tuple[str, ...], index: int) -> Tensor:
    """A result that is no other result's tensor, nor a given one."""
    value = values[results[index]]
    if results[index] in results[:index] or results[index] == "gradient" or results[index] in "QKVP":
        fresh = _result_like(value)
        fresh.copy_(value)
        return fresh
    return value


def _join_pieces(pieces: Tensor, result: Tensor, is_sum: bool) -> None:
    size = result.numel() if is_sum else result.numel() // 2
    arguments = {"pieces": pieces, "result": result, "count": pieces.shape[0], "stride": result.numel(), "size": size}
    if is_sum:
        wrap_triton(add_pieces)[(-(-size // JOINED),)](**arguments, BLOCK=JOINED)
    else:
        wrap_triton(join_statistics)[(-(-size // JOINED),)](**arguments, width=result.shape[-1], BLOCK=JOINED)


def compare_maps(term: Callable[..., Tensor], x: Tensor, y: Tensor) -> Tensor:
    """`sum_c term(x[a, c], y[b, c])` for maps, a row at a time, in float64 until it is summed."""
    x, y = x.double(), y.double()
    rows = [term(x[..., a : a + 1, :], y).sum(dim=-1) for a in range(x.shape[-2])]
    return torch.stack(rows, dim=-2).float()


def compare_maps_gradient(slope: Callable[..., Tensor], x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """`sum_b w[a, b] slope(x[a, c], y[b, c])` for maps, a row at a time, in float64 until it is summed."""
    x, y, weights = x.double(), y.double(), weights.double()
    rows = [(weights[..., a, :, None] * slope(x[..., a : a + 1, :], y)).sum(dim=-2) for a in range(x.shape[-2])]
    return torch.stack(rows, dim=-2).float()


def larger(x: Any, y: Any) -> Tensor:
    """The maximum, of tensors or numbers, which torch's takes no numbers for."""
    return torch.maximum(torch.as_tensor(x), torch.as_tensor(y))


def smaller(x: Any, y: Any) -> Tensor:
    """The minimum, of tensors or numbers."""
    return torch.minimum(torch.as_tensor(x), torch.as_tensor(y))


def product_of_maps(x: Tensor, y: Tensor) -> Tensor:
    """The product of two maps, in float32."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return torch.matmul(x, y)
    return torch.matmul(x, y)
