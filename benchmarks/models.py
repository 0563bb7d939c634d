"""The models that are compared: compiled, the same lowered naively, and transformers' BERT of the same size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from measure import EXAMPLES, Settings
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedModel

import autobertc
from autobertc.compiler.eager import lower_naively
from autobertc.compiler.modeling import convolution, functional
from autobertc.dsl.architecture import Architecture
from autobertc.dsl.graph import Program

SMALL = ("bert-small", "autobert-zero-small")


def example(name: str) -> Architecture:
    """An architecture of examples/."""
    return autobertc.load(EXAMPLES / f"{name}.abz")


def sized(name: str, settings: Settings) -> Architecture:
    """An example at the sizes that are compared, its embeddings as wide as its hidden states, as BERT's are."""
    architecture = example(name)
    sizes = replace(
        architecture.sizes,
        vocab=settings.vocabulary,
        hidden=settings.hidden,
        heads=settings.heads,
        intermediate=settings.intermediate,
        embedding=None,
    )
    return replace(architecture, sizes=sizes)


def _sizes(settings: Settings, dropout: float) -> dict[str, Any]:
    return {
        "vocab_size": settings.vocabulary,
        "hidden_size": settings.hidden,
        "num_attention_heads": settings.heads,
        "intermediate_size": settings.intermediate,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


def compiled(
    architecture: Architecture, settings: Settings, dropout: float = 0.0, head: str = "base", backend: str = "auto"
) -> PreTrainedModel:
    """The compiled model in training mode, without pooler; its embeddings are as wide as its hidden states."""
    torch.manual_seed(0)
    sizes = _sizes(settings, dropout)
    model = autobertc.build(architecture, head, backend, embedding_size=None, kernel_dropout_prob=dropout, **sizes)
    model.base_model.pooler = None
    return model


def reference(
    architecture: Architecture, settings: Settings, dropout: float = 0.0, head: str = "base"
) -> PreTrainedModel:
    """transformers' BERT, with as many layers, in training mode, without pooler, attention by the library call."""
    torch.manual_seed(0)
    layers = len(architecture.layers)
    sizes = _sizes(settings, dropout)
    config = BertConfig(num_hidden_layers=layers, attn_implementation="sdpa", **sizes)
    if head == "masked-lm":
        return BertForMaskedLM(config).train()
    return BertModel(config, add_pooling_layer=False).train()


def naive_function(program: Program) -> Callable[..., Tensor]:
    """A program as one torch call per node."""
    namespace: dict[str, Any] = {"torch": torch, "F": F, **vars(functional)}
    exec(lower_naively(program, "naive_program", "Lowered naively.").source, namespace)
    function: Callable[..., Tensor] = namespace["naive_program"]
    return function


def naive(architecture: Architecture, settings: Settings, dropout: float = 0.0) -> PreTrainedModel:
    """The compiled base model with its programs lowered naively and torch's own linear maps.

    It has the weights of `compiled`. To be run under `naive_convolution`.
    """
    model = compiled(architecture, settings, dropout)
    functions = {program.root: naive_function(program) for program in architecture.programs()}
    for layer, meaning in zip(model.encoder.layer, architecture.layers, strict=True):
        if layer.is_attention:
            mixer = layer.attention.self
            mixer.program = replace(mixer.program, function=functions[meaning.program.root], with_map=None)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.__class__ = nn.Linear
    return model


def conv1d(values: Tensor, kernel: Tensor) -> Tensor:
    """`depthwise_convolution` as one `conv1d(groups=channels)` on `[batch, channels, N]`."""
    weight = kernel.repeat_interleave(values.shape[-1] // kernel.shape[0], dim=0)[:, None]
    padding = kernel.shape[-1] // 2
    return F.conv1d(values.transpose(1, 2), weight, padding=padding, groups=len(weight)).transpose(1, 2)


@contextmanager
def naive_convolution() -> Iterator[None]:
    """Within it, models convolve by `conv1d` on `[batch, channels, N]`."""
    with patch.object(convolution, "depthwise_convolution", conv1d):
        yield


def batch(settings: Settings, padded: bool = False) -> dict[str, Tensor]:
    """Random tokens; padded: with a mask, lengths evenly spread from half of the whole to the whole."""
    generator = torch.Generator().manual_seed(0)
    shape = (settings.batch, settings.length)
    inputs = {"input_ids": torch.randint(5, settings.vocabulary, shape, generator=generator)}
    if padded:
        lengths = torch.linspace(settings.length / 2, settings.length, settings.batch).round()
        inputs["attention_mask"] = (torch.arange(settings.length) < lengths[:, None]).long()
    return inputs
