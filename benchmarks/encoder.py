"""Embeddings and encoder, without pooler: compiled, transformers' BertModel (sdpa), and lowered naively."""

from __future__ import annotations

from collections.abc import Callable

import torch
from measure import Row, Section, Settings, Work, compare
from models import SMALL, batch, compiled, example, naive, naive_convolution, reference
from torch import Tensor
from transformers import PreTrainedModel

BESIDE_BERT = {"bert-small": 1.05, "autobert-zero-small": 0.92}
BESIDE_NAIVE = {"autobert-zero-small": 0.6}

# What is done with a model: it, its inputs, the gradient of its last hidden states.
Pass = Callable[[PreTrainedModel, dict[str, Tensor], Tensor], object]


def forward(model: PreTrainedModel, inputs: dict[str, Tensor], gradient: Tensor) -> None:
    """Nothing kept for a backward pass."""
    model.eval()
    with torch.no_grad():
        model(**inputs)


def forward_and_backward(model: PreTrainedModel, inputs: dict[str, Tensor], gradient: Tensor) -> None:
    """In training mode, to the gradients of all weights."""
    model.train()
    model.zero_grad(set_to_none=True)
    model(**inputs).last_hidden_state.backward(gradient)


def _bound(run: Pass, model: PreTrainedModel, inputs: dict[str, Tensor], settings: Settings) -> Work:
    gradient = torch.randn(settings.batch, settings.length, settings.hidden)
    return lambda: run(model, inputs, gradient)


def _bound_naive(run: Pass, model: PreTrainedModel, inputs: dict[str, Tensor], settings: Settings) -> Work:
    work = _bound(run, model, inputs, settings)

    def naively() -> None:
        with naive_convolution():
            work()

    return naively


def encoder(settings: Settings) -> Section:
    """Both genomes, forward, and forward plus backward; all tokens real, or padded; without and with dropout."""
    rows: list[Row] = []
    plain, padded = batch(settings), batch(settings, padded=True)
    for name in SMALL:
        architecture = example(name)
        ours, bert = compiled(architecture, settings), reference(architecture, settings)
        naively = naive(architecture, settings)
        noisy, noisy_bert = (make(architecture, settings, 0.1) for make in (compiled, reference))
        for run, words in ((forward, "forward"), (forward_and_backward, "forward + backward")):
            for inputs, ending in ((plain, ""), (padded, ", padded")):
                what = f"{name}, {words}{ending}"
                work = _bound(run, ours, inputs, settings)
                other = _bound(run, bert, inputs, settings)
                rows.append(compare(what, work, "BertModel", other, settings.pairs, BESIDE_BERT[name]))
                other = _bound_naive(run, naively, inputs, settings)
                target = BESIDE_NAIVE.get(name)
                rows.append(compare(what, work, "naive lowering", other, settings.pairs, target))
            work = _bound(run, ours, plain, settings)
            rows.append(compare(f"{name}, {words}", work, "itself", work, settings.pairs))
        for inputs, ending in ((plain, ""), (padded, ", padded")):
            what = f"{name}, forward + backward, dropout 0.1{ending}"
            work = _bound(forward_and_backward, noisy, inputs, settings)
            other = _bound(forward_and_backward, noisy_bert, inputs, settings)
            rows.append(compare(what, work, "BertModel", other, settings.pairs, BESIDE_BERT[name]))
    return Section("Encoder: embeddings and layers, no pooler", tuple(rows))
