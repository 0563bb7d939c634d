"""The gated convolution as one operator of torch, by Triton kernels; `convolution.py` is its meaning.

`convolution_kernels.py` has the kernels; here are their configurations, launches and derivatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .convolution_kernels import convolution_kernel, gates_gradient_kernel, kernel_gradient_kernel
from .operators import dot_precision, interpretable, on_device, register_operator, rows_contiguous, wrap_triton
from .tuning import tuned

MAX_WIDTH = 65
# Programs of the kernel's gradient: a few for every multiprocessor of a large GPU. A constant and not the device's
# number, because the order of a sum follows from it.
PROGRAMS = 512
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
KERNELS = {
    "convolution": convolution_kernel,
    "gates_gradient": gates_gradient_kernel,
    "kernel_gradient": kernel_gradient_kernel,
}


@dataclass(frozen=True)
class Config:
    """How a kernel is launched: `rows` of a result from `span` rows of its operand, `columns` channels at a time."""

    span: int
    rows: int
    columns: int
    num_warps: int
    num_stages: int = 1

    def step(self, width: int) -> int:
        """How many of the rows are complete for kernels of this width; below 1 the tile is too small."""
        return min(self.rows, self.span - width + 1)


# By kernel and bytes of an element: span, rows, columns, num_warps, num_stages. The first that fits a width is the
# default. None spills on sm_90. In float32 tiles have 32 rows: with 64, Triton 3.6 computes IEEE products in TF32 on
# sm_100, and larger tiles of IEEE products spill.
CONFIGS: dict[tuple[str, int], tuple[Config, ...]] = {
    ("convolution", 2): (Config(64, 64, 64, 4), Config(128, 64, 64, 8), Config(64, 64, 64, 8), Config(128, 128, 64, 8)),
    ("convolution", 4): (Config(64, 32, 64, 4), Config(128, 32, 32, 8), Config(64, 32, 32, 4)),
    ("gates_gradient", 2): (
        Config(64, 64, 64, 8),
        Config(128, 64, 64, 8),
        Config(64, 64, 64, 4),
        Config(128, 128, 64, 8),
    ),
    ("gates_gradient", 4): (Config(64, 32, 64, 4), Config(128, 32, 32, 8), Config(64, 32, 32, 4)),
    ("kernel_gradient", 2): (
        Config(64, 64, 64, 4, 2),
        Config(128, 64, 64, 8, 2),
        Config(64, 64, 64, 4, 3),
        Config(128, 64, 64, 8, 3),
        Config(128, 64, 64, 4, 2),
    ),
    ("kernel_gradient", 4): (Config(64, 32, 64, 4), Config(128, 32, 64, 8)),
}


def candidates(name: str, dtype: torch.dtype, width: int) -> list[Config]:
    """The configurations of a kernel that put at least three quarters of a tile's rows to use at this width."""
    return [config for config in CONFIGS[name, dtype.itemsize] if 4 * config.step(width) >= 3 * config.rows]


def choose_config(name: str, gates: Tensor, kernel: Tensor, launch: Callable[[Config], Tensor]) -> Config:
    """The fastest configuration of a kernel on a GPU, tried once for each kind of tensors; elsewhere the default."""
    heads, width = kernel.shape
    found = candidates(name, gates.dtype, int(width))
    # A compiler passes tensors of its own, which hold nothing to time.
    if not gates.is_cuda or type(gates) is not Tensor:
        return found[0]
    shape = (gates.shape[0], 1 << (gates.shape[1] - 1).bit_length(), gates.shape[2], heads, width)
    key = (name, torch.cuda.get_device_name(gates.device), str(gates.dtype), shape)
    return tuned(key, found, launch, name)


def _constants(config: Config, head_dim: int, width: int, masked: bool, precision: str) -> dict[str, Any]:
    columns = min(config.columns, max(16, 1 << (head_dim - 1).bit_length()))
    return {
        "HEAD_DIM": head_dim,
        "WIDTH": width,
        "HAS_MASK": masked,
        "PRECISION": precision,
        "SPAN": config.span,
        "ROWS": config.rows,
        "STEP": config.step(width),
        "COLUMNS": columns,
        "CHUNKS": -(-head_dim // columns),
    }


class _Launch:
    """What the launches share: operands in a form that kernels take, sizes, and the configuration."""

    def __init__(self, gates: Tensor, kernel: Tensor, mask: Tensor | None, config: Config) -> None:
        # The compiler may hold sizes as symbols; those of the kernel are constants of the Triton kernels.
        self.heads, width = int(kernel.shape[0]), int(kernel.shape[1])
        self.batch, self.length, self.channels = gates.shape[0], gates.shape[1], gates.shape[2] // 2
        head_dim = int(self.channels) // self.heads
        constants = _constants(config, head_dim, width, mask is not None, dot_precision(gates.dtype))
        self.options = {**constants, "num_warps": config.num_warps, "num_stages": config.num_stages}
        self.step = config.step(width)
        # Of one head.
        self.tiles = self.batch * -(-self.length // self.step) * constants["CHUNKS"]
        self.gates = rows_contiguous(interpretable(gates))
        self.kernel = interpretable(kernel.contiguous())
        # An argument that is not read, where there is no mask.
        self.mask = self.gates if mask is None else mask.contiguous()


def convolve(gates: Tensor, kernel: Tensor, mask: Tensor | None, config: Config | None = None) -> Tensor:
    """`gated_convolution`, launched as `config` says, without a derivative."""
    name = "convolution"
    config = config or choose_config(name, gates, kernel, lambda one: convolve(gates, kernel, mask, one))
    launch = _Launch(gates, kernel, mask, config)
    output = launch.gates.new_empty((launch.batch, launch.length, launch.channels))
    with on_device(gates):
        wrap_triton(convolution_kernel)[(launch.tiles * launch.heads,)](
            launch.gates,
            launch.kernel,
            launch.mask,
            output,
            launch.length,
            launch.heads,
            *launch.gates.stride()[:2],
            **launch.options,
        )
    return output.to(gates.dtype)


def differentiate_gates(
    gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None, config: Config | None = None
) -> Tensor:
    """The gradient of the gates, `[batch, N, 2C]`, exactly 0 at padded tokens."""
    given = (gradient, gates, kernel, mask)
    config = config or choose_config("gates_gradient", gates, kernel, lambda one: differentiate_gates(*given, one))
    launch = _Launch(gates, kernel, mask, config)
    gradient = rows_contiguous(interpretable(gradient))
    output = launch.gates.new_empty((launch.batch, launch.length, 2 * launch.channels))
    with on_device(gates):
        wrap_triton(gates_gradient_kernel)[(launch.tiles * launch.heads,)](
            gradient,
            launch.gates,
            launch.kernel,
            launch.mask,
            output,
            launch.length,
            launch.heads,
            *gradient.stride()[:2],
            *launch.gates.stride()[:2],
            **launch.options,
        )
    return output.to(gates.dtype)


def differentiate_kernel(
    gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None, config: Config | None = None
) -> Tensor:
    """The gradient of the kernel, `[heads, K]`: partial sums, then their sum in a fixed order."""
    given = (gradient, gates, kernel, mask)
    config = config or choose_config("kernel_gradient", gates, kernel, lambda one: differentiate_kernel(*given, one))
    launch = _Launch(gates, kernel, mask, config)
    gradient = rows_contiguous(interpretable(gradient))
    parts = max(1, min(launch.tiles, PROGRAMS // launch.heads))
    partial = gradient.new_empty((launch.heads, parts * launch.step, kernel.shape[1]), dtype=torch.float32)
    with on_device(gates):
        wrap_triton(kernel_gradient_kernel)[(launch.heads * parts,)](
            gradient,
            launch.gates,
            launch.mask,
            partial,
            launch.length,
            launch.heads,
            launch.tiles,
            parts,
            *gradient.stride()[:2],
            *launch.gates.stride()[:2],
            **launch.options,
        )
    return partial.sum(1).to(kernel.dtype)


# ---------------------------------------------------------------- operators


def _gated_convolution(gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return convolve(gates, kernel, mask)


def _gates_gradient(gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return differentiate_gates(gradient, gates, kernel, mask)


def _kernel_gradient(gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return differentiate_kernel(gradient, gates, kernel, mask)


def _fake_convolution(gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return gates.new_empty((gates.shape[0], gates.shape[1], gates.shape[2] // 2))


def _fake_gates_gradient(gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return gates.new_empty(gates.shape)


def _fake_kernel_gradient(gradient: Tensor, gates: Tensor, kernel: Tensor, mask: Tensor | None) -> Tensor:
    return kernel.new_empty(kernel.shape)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    gates_gradient = kernel_gradient = None
    if ctx.needs_input_grad[0]:
        gates_gradient = GATES_GRADIENT(gradient, *ctx.saved_tensors)
    if ctx.needs_input_grad[1]:
        kernel_gradient = KERNEL_GRADIENT(gradient, *ctx.saved_tensors)
    return gates_gradient, kernel_gradient, None


GATES_GRADIENT = register_operator(_gates_gradient, _fake_gates_gradient)
KERNEL_GRADIENT = register_operator(_kernel_gradient, _fake_kernel_gradient)
GATED_CONVOLUTION = register_operator(_gated_convolution, _fake_convolution, _backward, _save)


def gated_convolution(gates: Tensor, kernel: Tensor, mask: Tensor | None = None) -> Tensor:
    """GLU, padded tokens to 0, depthwise convolution: `depthwise_convolution(masked(glu(gates)), kernel)`.

    Args:
        gates: `[batch, N, 2C]`, float32, float16 or bfloat16; the GLU is the first half times the sigmoid of the
            second. Anything may stand at padded tokens.
        kernel: `[heads, K]`, K odd and at most 65; channel c has kernel `c // (C / heads)`. It may be wider than N.
        mask: `[batch, N]` (bool, True for real tokens) or None.

    Returns:
        `[batch, N, C]` in the type of the gates; products of factors in that type are summed in float32. The gradient
        of the gates is exactly 0 at padded tokens, that of the kernel has the kernel's type. Two runs give the same
        bits.

    Raises:
        ValueError: shapes that do not belong together, or a type of the gates that is not one of these.
        NotImplementedError: in a second derivative.
        RuntimeError: Triton is not installed.
    """
    _check(gates, kernel, mask)
    output: Tensor = GATED_CONVOLUTION(gates, kernel, mask)
    return output


def _check(gates: Tensor, kernel: Tensor, mask: Tensor | None) -> None:
    if gates.dtype not in DTYPES.values():
        raise ValueError(f"gates are {gates.dtype}: the kernels take float32, float16 and bfloat16")
    if gates.ndim != 3 or kernel.ndim != 2 or gates.shape[2] % (2 * kernel.shape[0]):
        raise ValueError(
            f"gates {list(gates.shape)} and kernel {list(kernel.shape)} are not [batch, N, 2C] and [heads, K] "
            "with C a multiple of the heads"
        )
    if kernel.shape[1] % 2 == 0 or kernel.shape[1] > MAX_WIDTH:
        raise ValueError(f"the kernel is {kernel.shape[1]} wide: widths are odd and at most {MAX_WIDTH}")
    if mask is not None and (mask.dtype != torch.bool or mask.shape != gates.shape[:2]):
        raise ValueError(f"the mask is {mask.dtype} {list(mask.shape)} and not bool {list(gates.shape[:2])}")


# ---------------------------------------------------------------- compiling without tensors


class Specialization(NamedTuple):
    """What it takes to compile a kernel without tensors.

    `signature` has the Triton types of a launch's arguments, `constants` the values of all others; `divisible` are the
    arguments that are multiples of 16 (pointers: bytes) in a launch on tensors of a usual shape.
    """

    name: str
    function: Any
    signature: dict[str, str]
    constants: dict[str, Any]
    num_warps: int
    num_stages: int
    divisible: tuple[str, ...]


def ahead_of_time(
    dtype: str, head_dim: int, width: int, configs: dict[str, Config] | None = None
) -> list[Specialization]:
    """The three kernels for `dtype` "fp32", "fp16" or "bf16", with a mask and IEEE products.

    `configs` are configurations by kernel name in place of those that a launch would take.
    """
    pointers = {"mask": "*i1", "partial": "*fp32"}
    pointers |= dict.fromkeys(("gradient", "gates", "kernel", "output"), f"*{dtype}")
    found = []
    for name, function in KERNELS.items():
        config = (configs or {}).get(name) or candidates(name, DTYPES[dtype], width)[0]
        constants = _constants(config, head_dim, width, True, "ieee")
        arguments = [argument for argument in function.arg_names if argument not in constants]
        signature = {argument: pointers.get(argument, "i32") for argument in arguments}
        divisible = tuple(x for x in arguments if x in pointers or x.endswith("stride"))
        found.append(
            Specialization(name, function, signature, constants, config.num_warps, config.num_stages, divisible)
        )
    return found
