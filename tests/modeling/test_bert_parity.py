"""BERT is a program: with the same weights, the same values and gradients as transformers' BERT."""

import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertModel

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
LAYERS = [{"type": "attention", "program": "attention_1"}] * 3


def random_bert(bert_class):
    """A BERT whose biases and LayerNorms are random as well."""
    torch.manual_seed(0)
    bert = bert_class(BertConfig(**SIZES, num_hidden_layers=len(LAYERS))).eval()
    with torch.no_grad():
        for parameter in bert.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return bert


@pytest.mark.parametrize("masked", [True, False])
def test_hidden_states(build, batch, masked):
    bert = random_bert(BertModel)
    model = build("Model", **SIZES, layers=LAYERS)
    model.load_state_dict(bert.state_dict())
    if not masked:
        del batch["attention_mask"]
    expected = bert(**batch, output_hidden_states=True)
    found = model(**batch, output_hidden_states=True)
    assert len(found.hidden_states) == len(LAYERS) + 1
    real = batch["attention_mask"].bool() if masked else slice(None)
    for ours, theirs in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-5)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, rtol=0, atol=1e-5)


@pytest.mark.parametrize("output_logits", [True, False])
def test_pre_training_logits_and_gradients(build, batch, output_logits):
    bert = random_bert(BertForPreTraining)
    model = build("ForPreTraining", **SIZES, layers=LAYERS)
    model.load_state_dict(bert.state_dict())
    labels = batch["input_ids"].clone()
    labels[:, ::3] = -100
    labels[batch["attention_mask"] == 0] = -100
    targets = {"labels": labels, "next_sentence_label": torch.tensor([0, 1, 1])}
    expected = bert(**batch, **targets)
    found = model(**batch, **targets, output_logits=output_logits)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.seq_relationship_logits, expected.seq_relationship_logits)
    if output_logits:
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(found.prediction_logits[real], expected.prediction_logits[real], rtol=0, atol=1e-5)
    else:
        assert found.prediction_logits is None
    expected.loss.backward()
    found.loss.backward()
    theirs = dict(bert.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs.pop(name).grad, rtol=1e-4, atol=1e-6, msg=name)
    assert not theirs


def test_loads_a_saved_bert(generated, tmp_path, batch):
    """A checkpoint of BertForPreTraining loads into every head, and none of the backbone's weights is new."""
    bert = random_bert(BertForPreTraining)
    bert.save_pretrained(tmp_path)
    config = generated.AutobertcConfig(**SIZES, layers=LAYERS)
    for head in ("ForPreTraining", "ForMaskedLM", "Model", "ForSequenceClassification"):
        model, report = getattr(generated, f"Autobertc{head}").from_pretrained(
            tmp_path, config=config, output_loading_info=True
        )
        assert {name.split(".")[0] for name in report["missing_keys"]} <= {"classifier"}
        found = model(**batch, output_hidden_states=True).hidden_states[-1]
        real = batch["attention_mask"].bool()
        expected = bert(**batch, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-5)
