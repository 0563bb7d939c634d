"""Hidden states and attention maps: recorded when asked for, and only then."""

import pytest
import torch

CONVOLUTIONS = [{"type": "convolution", "kernel_size": 3}] * 2


@pytest.fixture
def calls(generated):
    """The program functions that ran, in order."""
    generated.CALLS.clear()
    return generated.CALLS


def test_hidden_states(build, batch):
    model = build("Model")
    output = model(**batch, output_hidden_states=True)
    assert len(output.hidden_states) == 4
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    embeddings = model.embeddings(batch["input_ids"], batch["token_type_ids"])
    assert torch.equal(output.hidden_states[0], embeddings)
    model.config.output_hidden_states = True
    assert len(model(**batch).hidden_states) == 4
    assert model(**batch, output_hidden_states=False).hidden_states is None


@pytest.mark.parametrize("head", ["Model", "ForMaskedLM", "ForSequenceClassification", "ForPreTraining"])
@pytest.mark.parametrize("by", ["keyword", "configuration"])
def test_attention_maps(build, batch, calls, head, by):
    """Of the three layers the first alone has a map; the others run as ever."""
    model = build(head)
    plain = model(**batch)
    assert calls == ["attention_1", "attention_2"]
    assert plain.attentions is None
    calls.clear()
    if by == "configuration":
        model.config.output_attentions = True
        output, as_tuple = model(**batch), model(**batch, return_dict=False)
    else:
        output = model(**batch, output_attentions=True)
        as_tuple = model(**batch, output_attentions=True, return_dict=False)
    assert calls == ["attention_1_with_map", "attention_2"] * 2
    (attention_map,) = output.attentions
    assert attention_map.shape == (3, 2, 12, 12)
    torch.testing.assert_close(attention_map.sum(-1), torch.ones(3, 2, 12))
    assert not attention_map[1, ..., 7:].any()
    assert isinstance(as_tuple[-1], tuple) and torch.equal(as_tuple[-1][0], attention_map)
    torch.testing.assert_close(output[0], plain[0], rtol=1e-4, atol=1e-5)
    if by == "configuration":
        assert model(**batch, output_attentions=False).attentions is None


def test_maps_by_configuration_from_the_start(build, batch, tmp_path):
    model = build("ForMaskedLM", output_attentions=True)
    assert len(model(**batch).attentions) == 1
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.config.output_attentions and len(again(**batch).attentions) == 1
    quiet = type(model).from_pretrained(tmp_path, output_attentions=False)
    assert quiet(**batch).attentions is None


def test_maps_in_training_with_checkpointing(build, batch, checkpoint_layers):
    model = build("ForMaskedLM").train()
    checkpoint_layers(model)
    output = model(**batch, labels=batch["input_ids"], output_attentions=True, output_hidden_states=True)
    output.loss.backward()
    assert len(output.attentions) == 1 and len(output.hidden_states) == 4


@pytest.mark.parametrize("layers", [CONVOLUTIONS, [{"type": "attention", "program": "attention_2"}], []])
@pytest.mark.parametrize("head", ["Model", "ForMaskedLM"])
def test_no_layer_has_a_map(build, batch, head, layers):
    model = build(head, layers=layers)
    model(**batch, output_hidden_states=True)
    with pytest.raises(ValueError, match="no layer of this model has an attention map"):
        model(**batch, output_attentions=True)
    model(**batch)  # and nothing stays behind
