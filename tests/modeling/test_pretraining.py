"""The masked-LM loss: on labelled positions only or on all, in one step or accumulated over several."""

import pytest
import torch
from transformers import Trainer, TrainingArguments

LABELS = torch.full((3, 12), -100)
LABELS[0, 1], LABELS[0, 4], LABELS[1, 2], LABELS[2, 9] = 7, 8, 9, 10


def loss_and_gradients(model, batch, labels, **kwargs):
    model.zero_grad()
    torch.manual_seed(0)
    output = model(**batch, labels=labels, **kwargs)
    output.loss.backward()
    return output, [output.loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("count", [None, 9, torch.tensor(9)])
@pytest.mark.parametrize("head", ["ForMaskedLM", "ForPreTraining"])
def test_sparse_is_full(build, batch, head, count):
    model = build(head).train()
    extra = {} if count is None else {"num_items_in_batch": count}
    if head == "ForPreTraining":
        extra["next_sentence_label"] = torch.tensor([0, 1, 0])
    sparse_output, sparse = loss_and_gradients(model, batch, LABELS, **extra)
    full_output, full = loss_and_gradients(model, batch, LABELS, output_logits=True, **extra)
    names = ("logits", "prediction_logits")
    assert all(getattr(sparse_output, name, None) is None for name in names)
    assert any(getattr(full_output, name, None) is not None for name in names)
    assert len(sparse) == len(full)
    for ours, expected in zip(sparse, full, strict=True):
        torch.testing.assert_close(ours, expected)


def test_when_logits_are_computed(build, batch):
    model = build("ForMaskedLM")
    assert model(**batch, labels=LABELS).logits is not None
    assert model(**batch, labels=LABELS, output_logits=False).logits is None
    assert model(**batch, output_logits=False).logits is not None
    model.train()
    assert model(**batch).logits is not None
    assert model(**batch, labels=LABELS).logits is None
    assert model(**batch, labels=LABELS, output_logits=True).logits is not None
    model.config.sparse_prediction = False
    assert model(**batch, labels=LABELS).logits is not None


@pytest.mark.parametrize("output_logits", [True, False])
@pytest.mark.parametrize("count", [None, 0, torch.tensor(0)])
def test_nothing_to_predict(build, batch, count, output_logits):
    model = build("ForMaskedLM").train()
    output = model(
        **batch,
        labels=torch.full((3, 12), -100),
        output_logits=output_logits,
        num_items_in_batch=count,
    )
    output.loss.backward()
    assert output.loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_losses_of_pre_training_add_up(build, batch):
    model = build("ForPreTraining")
    sentence = {"next_sentence_label": torch.tensor([0, 1, 1])}
    both = model(**batch, labels=LABELS, **sentence).loss
    torch.testing.assert_close(both, model(**batch, labels=LABELS).loss + model(**batch, **sentence).loss)
    assert model(**batch).loss is None


class Rows(torch.utils.data.Dataset):
    """Eight rows with unequal numbers of labels."""

    def __init__(self, sentences):
        generator = torch.Generator().manual_seed(5)
        self.ids = torch.randint(1, 50, (8, 12), generator=generator)
        self.labels = torch.where(torch.rand(8, 12, generator=generator) < 0.3, self.ids, -100)
        self.sentences = sentences

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        row = {"input_ids": self.ids[index], "labels": self.labels[index]}
        if self.sentences:
            row["next_sentence_label"] = torch.tensor(index % 2)
        return row


def trained(model, directory, batch_size, accumulation, sentences=False):
    """The model's weights after one optimiser step on the same eight rows, and the loss that was logged."""
    arguments = TrainingArguments(
        output_dir=str(directory),
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=1,
        learning_rate=0.5,
        optim="sgd",
        max_grad_norm=0,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Rows(sentences))
    trainer.train()
    return trainer.state.log_history[0]["loss"], {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize("sparse", [True, False])
def test_accumulation(build, tmp_path, sparse):
    config = {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "kernel_dropout_prob": 0.0,
        "sparse_prediction": sparse,
    }
    start = build("ForMaskedLM", **config).state_dict()
    loss, weights = trained(build("ForMaskedLM", **config), tmp_path, 8, 1)
    accumulated_loss, accumulated_weights = trained(build("ForMaskedLM", **config), tmp_path, 4, 2)
    assert accumulated_loss == pytest.approx(loss, rel=1e-4)
    assert any((weights[name] - start[name]).abs().max() > 1e-3 for name in weights)
    for name, value in weights.items():
        torch.testing.assert_close(accumulated_weights[name], value, rtol=1e-4, atol=1e-5)


def test_accumulation_of_two_losses(build, tmp_path):
    """The sentence loss keeps its weight: not exactly, for steps count as their predictions do."""
    loss, _ = trained(build("ForPreTraining"), tmp_path, 8, 1, sentences=True)
    accumulated, _ = trained(build("ForPreTraining"), tmp_path, 4, 2, sentences=True)
    assert accumulated == pytest.approx(loss, rel=0.02)
