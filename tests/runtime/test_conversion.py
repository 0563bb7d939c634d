"""A BERT's weights in a compiled model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import HEADER
from tiny import BERT, architecture
from transformers import BertConfig, BertForPreTraining, BertModel

from autobertc.runtime.conversion import ConversionError, convert

Batch = dict[str, torch.Tensor]
SIZES = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def make_bert(**config: Any) -> BertForPreTraining:
    """With weights ten times BERT's initial ones, and biases, so that everything shows."""
    torch.manual_seed(0)
    model = BertForPreTraining(BertConfig(**{**SIZES, "initializer_range": 0.2, **config})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
    return model


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    make_bert().save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("changes", [{}, {"hidden_act": "relu", "layer_norm_eps": 1e-3}], ids=["bert", "other"])
def test_the_program_is_bert(changes: dict[str, Any], padded: bool, tmp_path: Path, batch: Batch) -> None:
    """Logits, loss and all gradients of a random BertForPreTraining."""
    theirs = make_bert(**changes)
    theirs.save_pretrained(tmp_path)
    conversion = convert(architecture("bert"), tmp_path)
    ours = conversion.model
    assert not ours.training
    assert (conversion.initial, conversion.mismatched, conversion.unused) == ((), (), ())
    batch["attention_mask"][:, 0] = 1  # the pooler reads the first token: it must be real
    if not padded:
        del batch["attention_mask"]
    real = batch.get("attention_mask", torch.ones(3, 12)).bool()
    labels = {
        "labels": torch.where(real & (batch["input_ids"] % 3 == 0), batch["input_ids"], -100),
        "next_sentence_label": torch.tensor([0, 1, 0]),
    }
    outputs = [model(**batch, **labels) for model in (theirs, ours)]
    for output in outputs:
        output.loss.backward()
    expected, result = outputs
    assert (result.loss - expected.loss).abs() <= 1e-5
    assert (result.prediction_logits - expected.prediction_logits)[real].abs().max() <= 1e-5
    assert (result.seq_relationship_logits - expected.seq_relationship_logits).abs().max() <= 1e-5
    gradients = {name: weight.grad for name, weight in ours.named_parameters()}
    for name, weight in theirs.named_parameters():
        assert (gradients.pop(name) - weight.grad).abs().max() <= 1e-5, name
    assert gradients == {}


def test_report(bert: Path) -> None:
    header = HEADER.replace("vocab: 200", "vocab: 150")
    conversion = convert(architecture(f"conv: 3\natt: {BERT}\natt: Q + P @ (Q.T @ P)\n", header), bert, seed=3)
    state = conversion.model.state_dict()
    source = BertForPreTraining.from_pretrained(bert).state_dict()
    assert all(torch.equal(state[name], source[name]) for name in conversion.copied)
    mismatched = {name: shapes for name, *shapes in conversion.mismatched}
    assert mismatched == {
        "bert.embeddings.word_embeddings.weight": [(150, 32), (200, 32)],
        "cls.predictions.bias": [(150,), (200,)],
    }
    assert "bert.encoder.layer.0.convolution.self.kernel" in conversion.initial
    assert "bert.encoder.layer.2.output.dense.weight" in conversion.initial
    assert "bert.encoder.layer.0.attention.self.query.weight" in conversion.unused
    assert "bert.encoder.layer.0.output.dense.weight" in conversion.copied
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert {*conversion.copied, *conversion.initial, *mismatched} == state.keys() - tied
    again = convert(architecture(f"conv: 3\natt: {BERT}\natt: Q + P @ (Q.T @ P)\n", header), bert, seed=3)
    assert all(torch.equal(tensor, again.model.state_dict()[name]) for name, tensor in state.items())


def test_a_base_model_and_older_names(tmp_path: Path) -> None:
    """A BertModel's weights have no prefix; the oldest have LayerNorm.gamma and .beta, in PyTorch's format."""
    model = make_bert()
    model.bert.save_pretrained(tmp_path / "base")
    copied = convert(architecture("bert"), tmp_path / "base").copied
    assert len(copied) == len(BertModel(model.config).state_dict())
    old = tmp_path / "old"
    old.mkdir()
    model.config.save_pretrained(old)
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    state = {}
    for name, tensor in model.state_dict().items():
        for new, before in names.items():
            name = name.replace(new, before)
        state[name] = tensor
    torch.save(state, old / "pytorch_model.bin")
    conversion = convert(architecture("bert"), old)
    assert (conversion.initial, conversion.mismatched, conversion.unused) == ((), (), ())


def test_shards(bert: Path, tmp_path: Path) -> None:
    BertForPreTraining.from_pretrained(bert).save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    whole, parts = (convert(architecture("bert"), folder) for folder in (bert, tmp_path / "shards"))
    assert sorted(whole.copied) == sorted(parts.copied)
    (tmp_path / "shards" / "model-00001-of-00002.safetensors").unlink(missing_ok=True)
    next((tmp_path / "shards").glob("model-00002-*")).unlink()
    with pytest.raises(ConversionError, match="cannot read the weights"):
        convert(architecture("bert"), tmp_path / "shards")


def message(folder: Path, layers: str = "bert", header: str = HEADER) -> str:
    with pytest.raises(ConversionError) as caught:
        convert(architecture(layers, header), folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wrong_sizes(bert: Path) -> None:
    assert "set `heads: 2`" in message(bert, header=HEADER.replace("heads: 2", "heads: 4"))
    assert "set `hidden: 32`" in message(bert, header=HEADER.replace("hidden: 32", "hidden: 64"))


def test_broken_folders(bert: Path, tmp_path: Path) -> None:
    weights, config = bert / "model.safetensors", bert / "config.json"
    whole = weights.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:4], b"", b"\xff" * 100):
        weights.write_bytes(broken)
        assert f"cannot read the weights of {bert}" in message(bert)
    weights.unlink()
    assert "holds no weights" in message(bert)
    for broken in (b"", b"nonsense", b"PK\x03\x04"):
        (bert / "pytorch_model.bin").write_bytes(broken)
        assert "cannot read the weights" in message(bert)
    torch.save({"model": {"nested": torch.zeros(1)}}, bert / "pytorch_model.bin")
    assert "not tensors by name" in message(bert)
    torch.save({"other": torch.zeros(1)}, bert / "pytorch_model.bin")
    assert "no weight of" in message(bert)
    weights.write_bytes(whole)
    for broken in (b"{", b"[]", b"\xff"):
        config.write_bytes(broken)
        assert "config.json" in message(bert)
    config.unlink()
    assert "cannot read" in message(bert)
    assert "there is no folder" in message(tmp_path / "none")


def test_other_meanings(bert: Path) -> None:
    config = json.loads((bert / "config.json").read_text(encoding="utf-8"))
    for changes, words in (
        ({"position_embedding_type": "relative_key"}, "relative_key position embeddings"),
        ({"hidden_act": "nonsense"}, "cannot take"),
        ({"pad_token_id": 10_000}, "cannot take"),
    ):
        (bert / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
        assert words in message(bert)
