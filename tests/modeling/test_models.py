"""Every head: forward, backward, save and load; and what a Hugging Face model has to be able to do."""

import pytest
import torch

HEADS = (
    "Model",
    "ForPreTraining",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)


def inputs_of(head, batch):
    """The batch as `head` takes it, and its labels."""
    tokens = batch["input_ids"]
    if head == "ForMultipleChoice":
        choices = {name: value[:2].expand(2, 2, 12).contiguous() for name, value in batch.items()}
        return choices, {"labels": torch.tensor([0, 1])}
    labels = {
        "Model": {},
        "ForPreTraining": {"labels": tokens, "next_sentence_label": torch.tensor([0, 1, 1])},
        "ForMaskedLM": {"labels": tokens},
        "ForSequenceClassification": {"labels": torch.tensor([0, 1, 1])},
        "ForTokenClassification": {"labels": tokens % 2},
        "ForQuestionAnswering": {
            "start_positions": torch.tensor([0, 3, 99]),
            "end_positions": torch.tensor([1, 3, 99]),
        },
    }
    return batch, labels[head]


@pytest.mark.parametrize("head", HEADS)
def test_forward_and_backward(build, batch, head):
    model = build(head)
    inputs, labels = inputs_of(head, batch)
    output = model(**inputs, **labels)
    loss = output.loss if labels else output.last_hidden_state.sum() + output.pooler_output.sum()
    loss.backward()
    assert loss.isfinite()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert not without
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_save_and_load(build, batch, head, tmp_path):
    model = build(head)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert type(again.config) is type(model.config)
    assert again.config.layers == model.config.layers
    state = again.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    inputs, labels = inputs_of(head, batch)
    expected, found = (m(**inputs, **labels).to_tuple() for m in (model, again))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("head", HEADS)
def test_tuple_output(build, batch, head):
    model = build(head)
    inputs, labels = inputs_of(head, batch)
    as_tuple = model(**inputs, **labels, return_dict=False, output_hidden_states=True)
    as_output = model(**inputs, **labels, output_hidden_states=True)
    assert isinstance(as_tuple, tuple)
    assert len(as_tuple) == len(as_output.to_tuple())
    assert len(as_tuple[-1]) == 4
    model.config.return_dict = False
    assert isinstance(model(**inputs, **labels), tuple)


@pytest.mark.parametrize(
    ("labels", "num_labels", "problem"),
    [
        (torch.tensor([0.5, 1.0, 2.0]), 1, "regression"),
        (torch.tensor([0, 2, 1]), 3, "single_label_classification"),
        (torch.ones(3, 3), 3, "multi_label_classification"),
    ],
)
def test_problem_types(build, batch, labels, num_labels, problem):
    model = build("ForSequenceClassification", num_labels=num_labels)
    model(**batch, labels=labels).loss.backward()
    assert model.config.problem_type == problem
    assert model.classifier.weight.grad.abs().sum() > 0


def test_defaults_of_the_inputs(build, batch):
    """No mask is all real, no types are type 0, no positions count from 0, embeddings stand for their ids."""
    model = build("Model")
    ids = batch["input_ids"]
    expected = model(ids).last_hidden_state
    ones, zeros = torch.ones_like(ids), torch.zeros_like(ids)
    positions = torch.arange(12)[None]
    explicit = [
        {"input_ids": ids, "attention_mask": ones, "token_type_ids": zeros, "position_ids": positions},
        {"input_ids": ids, "attention_mask": ones.bool(), "position_ids": positions.expand(3, -1)},
        {"inputs_embeds": model.get_input_embeddings()(ids), "attention_mask": ones.float()},
    ]
    for inputs in explicit:
        torch.testing.assert_close(model(**inputs).last_hidden_state, expected, rtol=0, atol=0)


def test_padding_does_not_reach_real_tokens(build, batch):
    model = build("Model")
    alone = model(batch["input_ids"][1:2, :7], token_type_ids=batch["token_type_ids"][1:2, :7])
    padded = model(**batch)
    torch.testing.assert_close(padded.last_hidden_state[1, :7], alone.last_hidden_state[0])


def test_unusable_inputs(build, batch):
    model = build("Model")
    ids = batch["input_ids"]
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model()
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model(ids, inputs_embeds=torch.zeros(3, 12, 16))
    with pytest.raises(ValueError, match=r"attention_mask is \(3, 1, 12, 12\)"):
        model(ids, attention_mask=torch.ones(3, 1, 12, 12))
    with pytest.raises(ValueError, match="41 tokens, but max_position_embeddings is 40"):
        model(torch.ones(1, 41, dtype=torch.long))


def test_unusable_configurations(build, generated):
    config = generated.AutobertcConfig
    with pytest.raises(ValueError, match="num_hidden_layers is 7, but layers has 3"):
        config(num_hidden_layers=7)
    with pytest.raises(ValueError, match="not a multiple"):
        config(hidden_size=17)
    with pytest.raises(ValueError, match="layer 1: type"):
        config(layers=[{"type": "recurrent"}])
    with pytest.raises(ValueError, match="layer 1: kernel_size 4 is not odd"):
        config(layers=[{"type": "convolution", "kernel_size": 4}])
    with pytest.raises(ValueError, match=r"'attention_9' in this model \(there is: attention_1, attention_2\)"):
        build("Model", layers=[{"type": "attention", "program": "attention_9"}])


def test_configurations_do_not_share_their_layers(generated):
    first, second = generated.AutobertcConfig(), generated.AutobertcConfig()
    first.layers.append({"type": "convolution", "kernel_size": 3})
    assert len(second.layers) == 3


def test_embedding_size(build, batch, tmp_path):
    """Embeddings narrower than the hidden states, and a head that scores words in the narrow space."""
    model = build("ForMaskedLM", embedding_size=6)
    assert model.bert.embeddings_project.weight.shape == (16, 6)
    assert model.cls.predictions.decoder.weight.shape == (50, 6)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    torch.testing.assert_close(again(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("head", ["ForMaskedLM", "ForPreTraining"])
def test_tied_weights(build, head, tmp_path):
    model = build(head)
    predictions = model.cls.predictions
    assert predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert predictions.decoder.bias is predictions.bias
    model.save_pretrained(tmp_path)
    predictions = type(model).from_pretrained(tmp_path).cls.predictions
    assert predictions.decoder.bias is predictions.bias
    untied = build(head, tie_word_embeddings=False)
    assert untied.cls.predictions.decoder.weight is not untied.bert.embeddings.word_embeddings.weight


def test_resize(build, batch):
    model = build("ForMaskedLM")
    with torch.no_grad():
        before = model(**batch).logits
    model.resize_token_embeddings(53, mean_resizing=False)
    predictions = model.cls.predictions
    assert model.config.vocab_size == 53
    assert predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert predictions.bias.shape == (53,) and predictions.decoder.bias is predictions.bias
    output = model.train()(**batch, labels=batch["input_ids"])
    output.loss.backward()
    torch.testing.assert_close(model.eval()(**batch).logits[..., :50], before)


def test_gradient_checkpointing(build, batch, checkpoint_layers):
    model = build("ForMaskedLM").train()
    model.config.sparse_prediction = False

    def gradients():
        torch.manual_seed(3)
        model.zero_grad()
        loss = model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        return [loss.detach(), *(p.grad.clone() for p in model.parameters())]

    plain = gradients()
    for reentrant in (False, True):
        checkpoint_layers(model, reentrant)
        for ours, expected in zip(gradients(), plain, strict=True):
            torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("head", ["ForMaskedLM", "ForSequenceClassification"])
def test_other_types(build, batch, head, dtype):
    inputs, labels = inputs_of(head, batch)
    expected = build(head)(**inputs, **labels)
    model = build(head).to(dtype)
    output = model(**inputs, **labels)
    output.loss.backward()
    assert output.logits.dtype == dtype
    torch.testing.assert_close(output.logits.float(), expected.logits, rtol=0.05, atol=0.02)
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in model.parameters())


def test_on_the_meta_device(generated, build, batch, tmp_path):
    """Models are built without memory when loading; everything that is not a weight must come back."""
    model = build("ForMaskedLM")
    model.save_pretrained(tmp_path)
    with torch.device("meta"):
        empty = type(model)(model.config)
    assert all(tensor.is_meta for tensor in [*empty.parameters(), *empty.buffers()])
    loaded = type(model).from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert torch.isfinite(loaded(**batch).logits).all()


def test_initial_weights(build):
    """Initialised once, as BERT's; kernels as the convolution's authors do."""
    model = build("ForMaskedLM", hidden_size=128, num_attention_heads=2, intermediate_size=256)
    layer = model.bert.encoder.layer[1]
    assert abs(layer.intermediate.dense.weight.std() - 0.02) < 1e-3
    assert not layer.intermediate.dense.bias.any()
    assert not model.bert.embeddings.word_embeddings.weight[0].any()
    assert not model.cls.predictions.bias.any()
    kernel = layer.convolution.self.kernel
    assert 0 < kernel.abs().max() <= (6 / (5 + 2 * 5)) ** 0.5
