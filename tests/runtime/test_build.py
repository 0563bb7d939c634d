"""Models in the process."""

import pickle
import traceback

import pytest
import torch
from command_line import HEADER
from tiny import LAYERS, architecture

import autobertc
from autobertc.compiler.module_text import HEADS
from autobertc.runtime.build import build, count_weights, modeling_module


@pytest.mark.parametrize("head", HEADS)
def test_heads(head: str) -> None:
    model = build(architecture("mixed"), head=head)
    assert type(model).__name__ == HEADS[head] and model.training
    ids = torch.arange(10).view(1, 2, 5) if head == "multiple-choice" else torch.arange(10).view(2, 5)
    assert all(value.isfinite().all() for value in model(ids).to_tuple())


def test_overrides() -> None:
    model = build(architecture("bert"), head="token-classification", num_labels=7, hidden_dropout_prob=0.0)
    assert model(torch.arange(5)[None]).logits.shape == (1, 5, 7)
    assert model.config.hidden_dropout_prob == 0.0 and model.config.attention_probs_dropout_prob == 0.1
    with pytest.raises(ValueError, match="not a multiple"):
        build(architecture("bert"), hidden_size=33)


def test_unknown_choices() -> None:
    with pytest.raises(ValueError, match="no head 'nonsense'; choose one of base, pre-training, masked-lm"):
        build(architecture("bert"), head="nonsense")
    with pytest.raises(ValueError, match="no backend 'cuda'; choose one of auto, eager"):
        build(architecture("bert"), backend="cuda")


def test_weights_come_from_the_generator() -> None:
    models = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        models.append(build(architecture("mixed")).state_dict())
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())
    assert not torch.equal(*(model["bert.embeddings.word_embeddings.weight"] for model in models[1:]))


def test_one_module_for_an_architecture() -> None:
    assert modeling_module(architecture("mixed")) is modeling_module(architecture("mixed"))
    assert modeling_module(architecture("mixed")) is not modeling_module(architecture("bert"))
    renamed = architecture("mixed", HEADER.replace("tiny", "other"))
    assert modeling_module(renamed) is modeling_module(architecture("mixed"))


def test_pickle() -> None:
    model = build(architecture("mixed"), head="base").eval()
    again = pickle.loads(pickle.dumps(model))
    ids = torch.arange(5)[None]
    assert torch.equal(again(ids).last_hidden_state, model(ids).last_hidden_state)


def test_tracebacks_show_the_generated_source() -> None:
    program = modeling_module(architecture("bert")).PROGRAMS["attention_1"]
    with pytest.raises(AttributeError) as caught:
        program.function(None, None, None, None, 0.0)
    shown = "".join(traceback.format_exception(caught.value))
    assert "dtype = Q.dtype" in shown


@pytest.mark.parametrize("layers", LAYERS)
def test_weights_are_counted_from_the_modules(layers: str) -> None:
    text = LAYERS[layers] * 3  # equal layers apart
    for head in ("base", "pre-training"):
        expected = sum(parameter.numel() for parameter in build(architecture(text), head=head).parameters())
        assert sum(count for _, count in count_weights(architecture(text), head)) == expected


def test_package() -> None:
    assert autobertc.build is build
