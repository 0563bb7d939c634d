"""What the device can do: bf16 in hardware, and its peak."""

from __future__ import annotations

import torch

# Dense peaks by NVIDIA's data sheets in FLOP/s: bf16 (or float16 where there is none), float32.
_PEAKS: dict[str, tuple[float, float]] = {
    "B200": (2250e12, 75e12),
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
    "A10": (125e12, 31.2e12),
    "V100": (125e12, 15.7e12),
    "T4": (65e12, 8.1e12),
    "RTX 4090": (165e12, 82.6e12),
    "RTX 3090": (71e12, 35.6e12),
}


def has_bf16() -> bool:
    """Whether the device multiplies bf16 in hardware; a CPU does with AMX or AVX-512's instructions."""
    if torch.cuda.is_available():
        return bool(torch.cuda.get_device_capability() >= (8, 0))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def can_compile() -> bool:
    """Whether `torch.compile` makes training faster: on a GPU."""
    return torch.cuda.is_available()


def device_name() -> str:
    """The device that a training would use."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads != 1)}"


def peak_flops(bf16: bool) -> float | None:
    """The peak of the GPU in FLOP/s, None where it is not known, as for every CPU."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    # The longest name that fits: an L40S is no L4.
    for known in sorted(_PEAKS, key=len, reverse=True):
        if known in name:
            return _PEAKS[known][0 if bf16 else 1]
    return None
