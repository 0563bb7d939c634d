"""A model in the process: the generated source executed, no files written."""

from __future__ import annotations

import re
import types
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from autobertc.compiler.module_text import BACKENDS, HEADS, module_text
from autobertc.dsl.architecture import Architecture
from autobertc.runtime.execution import execute, known

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def modeling_module(architecture: Architecture, backend: str = "eager") -> types.ModuleType:
    """The modelling module of an architecture, executed once in a process for each set of kernels.

    It holds the classes of `HEADS` and `AutobertcConfig`. Raises `MissingKernel` under "triton".
    """
    digest = architecture.digest()
    # Under "auto" kernels serve only on a GPU.
    kernels = backend if backend == "triton" or (backend == "auto" and torch.cuda.is_available()) else "eager"
    suffix = digest if kernels == "eager" else f"{digest}_{kernels}"
    before = known(f"modeling_{suffix}")
    if before is not None:
        return before
    text = module_text(architecture, suffix, kernels)
    execute(f"configuration_{suffix}", text.configuration)
    if text.kernels is not None:
        execute(f"kernels_{suffix}", text.kernels)
    return execute(f"modeling_{suffix}", text.modeling)


def count_weights(architecture: Architecture, head: str = "pre-training") -> Iterator[tuple[str, int]]:
    """Names of a model's parameters and how many numbers each holds, counted from its modules.

    Equal layers are built, and named, once, and counted as often as they stand.
    """
    layers = modeling_module(architecture).AutobertcConfig().layers
    times = Counter(tuple(layer.items()) for layer in layers)
    with torch.device("meta"):
        model = build(architecture, head=head, layers=[dict(layer) for layer in times])
    counts = list(times.values())
    for name, parameter in model.named_parameters():
        number = re.search(r"\bencoder\.layer\.(\d+)\.", name)
        yield name, parameter.numel() * (counts[int(number[1])] if number else 1)


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ValueError` naming the choices where `value` is none of them."""
    if value not in choices:
        raise ValueError(f"there is no {what} {value!r}; choose one of {', '.join(choices)}")


def build(
    architecture: Architecture, head: str = "pre-training", backend: str = "auto", **overrides: Any
) -> PreTrainedModel:
    """The `PreTrainedModel` of an architecture, weights drawn from torch's generator, in training mode.

    Args:
        architecture: what `parse` or `load` returned.
        head: one of `HEADS`: base, pre-training, masked-lm, sequence-classification, token-classification,
            question-answering, multiple-choice.
        backend: "eager", "triton" (fused kernels), or "auto", which picks by device (eager on a CPU).
        overrides: configuration fields, such as `num_labels=3` or `hidden_dropout_prob=0.0`.

    Raises:
        ValueError: an unknown head or backend, or fields that do not fit.
        MissingKernel: under "triton", a primitive that has no kernel.
    """
    check_choice("head", head, tuple(HEADS))
    check_choice("backend", backend, BACKENDS)
    module = modeling_module(architecture, backend)
    configuration = module.AutobertcConfig(**{"backend": backend, **overrides})
    model: PreTrainedModel = getattr(module, HEADS[head])(configuration)
    return model
