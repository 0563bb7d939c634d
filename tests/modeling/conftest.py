"""A hand-written instance of the two generated files, executed as `autobertc.build` executes them."""

import sys
import types
from collections.abc import Callable, Iterator

import pytest
import torch
from transformers import PreTrainedModel

PACKAGE = "autobertc.compiler.modeling"

CONFIGURATION = """
from dataclasses import field
from typing import Any

from .configuration import BackboneConfig


class AutobertcConfig(BackboneConfig):
    model_type = "autobertc"

    genome_hash: str = "0123456789abcdef"
    hidden_size: int = 16
    num_attention_heads: int = 2
    intermediate_size: int = 32
    layers: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"type": "attention", "program": "attention_1"},
            {"type": "convolution", "kernel_size": 5},
            {"type": "attention", "program": "attention_2"},
        ]
    )
"""

MODELING = """
import torch
from transformers import PreTrainedModel
import torch.nn.functional as F

from .attention import Program
from .configuration_autobertc import AutobertcConfig
from .fine_tuning import (
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
)
from .model import Model
from .pretraining import ForMaskedLM, ForPreTraining

CALLS = []  # for the tests alone: which functions ran


def attention_1(Q, K, V, mask, dropout_p):
    CALLS.append("attention_1")
    keys = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(Q, K, V, attn_mask=keys, dropout_p=dropout_p)


def attention_1_with_map(Q, K, V, mask, dropout_p):
    CALLS.append("attention_1_with_map")
    scores = Q @ K.mT * Q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
    probabilities = torch.softmax(scores, dim=-1)
    return F.dropout(probabilities, dropout_p) @ V, probabilities


def attention_2(Q, P, mask, dropout_p):
    CALLS.append("attention_2")
    rows = 1 if mask is None else mask[:, None, :, None]
    return Q @ ((Q * rows).mT @ P)


PROGRAMS = {
    "attention_1": Program(("Q", "K", "V"), attention_1, attention_1_with_map),
    "attention_2": Program(("Q", "P"), attention_2),
}


class AutobertcModel(Model):
    config_class = AutobertcConfig
    programs = PROGRAMS


class Head:
    config_class = AutobertcConfig
    model_class = AutobertcModel


class AutobertcForPreTraining(Head, ForPreTraining):
    pass


class AutobertcForMaskedLM(Head, ForMaskedLM):
    pass


class AutobertcForSequenceClassification(Head, ForSequenceClassification):
    pass


class AutobertcForTokenClassification(Head, ForTokenClassification):
    pass


class AutobertcForQuestionAnswering(Head, ForQuestionAnswering):
    pass


class AutobertcForMultipleChoice(Head, ForMultipleChoice):
    pass
"""

TINY = {"vocab_size": 50, "max_position_embeddings": 40}
BERT_LAYERS = [{"type": "attention", "program": "attention_1"}] * 2


@pytest.fixture(scope="session")
def generated() -> Iterator[types.ModuleType]:
    """The modelling module; its configuration class is `generated.AutobertcConfig`."""
    modules = {}
    for name, text in (("configuration_autobertc", CONFIGURATION), ("modeling_autobertc", MODELING)):
        module = types.ModuleType(f"{PACKAGE}.{name}")
        module.__package__ = PACKAGE
        sys.modules[module.__name__] = modules[name] = module
        exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    yield modules["modeling_autobertc"]
    for module in modules.values():
        del sys.modules[module.__name__]


@pytest.fixture
def build(generated: types.ModuleType) -> Callable[..., torch.nn.Module]:
    """`build(head, **config)`: a model with random weights, in eval mode; head as in "ForMaskedLM"."""

    def make(head: str = "Model", **config: object) -> torch.nn.Module:
        torch.manual_seed(0)
        model = getattr(generated, f"Autobertc{head}")(generated.AutobertcConfig(**{**TINY, **config}))
        return model.eval()

    return make


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three sequences of 12 tokens: whole, padded at the end, padded at the start and with a hole."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[1, 7:] = 0
    mask[2, :2] = mask[2, 5] = 0
    return {
        "input_ids": torch.randint(1, TINY["vocab_size"], (3, 12), generator=generator),
        "token_type_ids": torch.randint(0, 2, (3, 12), generator=generator),
        "attention_mask": mask,
    }


@pytest.fixture
def checkpoint_layers() -> Callable[..., None]:
    """`checkpoint_layers(model, use_reentrant)` turns gradient checkpointing on."""

    def turn_on(model: PreTrainedModel, use_reentrant: bool = False) -> None:
        name = "activation_checkpointing_enable"  # newer versions of transformers warn about the other name
        enable = getattr(model, name if hasattr(model, name) else "gradient_checkpointing_enable")
        enable({"use_reentrant": use_reentrant})
        assert all(layer.gradient_checkpointing for layer in model.base_model.encoder.layer)

    return turn_on


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
