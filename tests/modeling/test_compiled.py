"""`torch.compile`, `torch.export` and the fill-mask pipeline."""

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, pipeline


@pytest.mark.parametrize("masked", [True, False])
def test_compile_whole_graph(build, batch, masked):
    """One graph, forward and backward, for training (the backend that only traces is quick)."""
    torch.compiler.reset()
    model = build("ForMaskedLM").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.bert.encoder.layer[1].convolution.self.kernel_dropout_p = 0.0
    model.bert.encoder.layer[0].attention.self.dropout_p = 0.0
    if not masked:
        del batch["attention_mask"]
    labels = torch.where(batch["input_ids"] % 4 == 0, batch["input_ids"], -100)

    def gradients(forward):
        model.zero_grad()
        output = forward(**batch, labels=labels)
        output.loss.backward()
        assert output.logits is None
        return [output.loss.detach(), *(p.grad.clone() for p in model.parameters())]

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(gradients(compiled), gradients(model), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
def test_export(build, batch, masked):
    """The base model, any batch and any length."""
    model = build("Model")
    batch_size = torch.export.Dim("batch", min=1, max=64)
    length = torch.export.Dim("length", min=2, max=40)
    inputs = {"input_ids": batch["input_ids"]}
    if masked:
        inputs["attention_mask"] = batch["attention_mask"]
    shapes = {name: {0: batch_size, 1: length} for name in inputs}
    program = torch.export.export(model, (), inputs, dynamic_shapes=shapes)
    for size in [(3, 12), (5, 7), (2, 40)]:
        ids = torch.randint(1, 50, size)
        mask = torch.ones_like(ids)
        mask[0, size[1] // 2 :] = 0
        arguments = {"input_ids": ids, "attention_mask": mask} if masked else {"input_ids": ids}
        torch.testing.assert_close(
            program.module()(**arguments).last_hidden_state, model(**arguments).last_hidden_state
        )


def test_fill_mask(build):
    words = ["[PAD]", "[UNK]", "[MASK]", *(f"word{n}" for n in range(47))]
    backend = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"
    )
    fill = pipeline("fill-mask", model=build("ForMaskedLM"), tokenizer=tokenizer, device="cpu")
    answers = fill(["word1 [MASK] word3", "[MASK] word5 word6 word7"], top_k=3)
    assert [len(answer) for answer in answers] == [3, 3]
