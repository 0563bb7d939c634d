"""A masked-LM training step: forward, loss, backward, AdamW; 15% of the tokens are labelled."""

from __future__ import annotations

import torch
from measure import Row, Section, Settings, Work, compare
from models import SMALL, batch, compiled, example, reference
from torch import Tensor
from transformers import PreTrainedModel

BESIDE_BERT = 0.65
MASK_TOKEN = 4


def labelled_batch(settings: Settings, rate: float = 0.15) -> dict[str, Tensor]:
    """That share of the tokens masked, their labels, -100 elsewhere."""
    inputs = batch(settings)
    words = inputs["input_ids"]
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(words.numel(), generator=generator).view_as(words)
    chosen = order < max(1, round(rate * words.numel()))
    masked = words.masked_fill(chosen, MASK_TOKEN)
    return {"input_ids": masked, "labels": words.masked_fill(~chosen, -100)}


def step(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Work:
    """A training step of the model, to be called again and again."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        model(**inputs).loss.backward()
        optimizer.step()

    return work


def training_step(settings: Settings) -> Section:
    """Both genomes, without and with dropout, the head on labelled positions only as is their default."""
    rows: list[Row] = []
    inputs = labelled_batch(settings)
    for name in SMALL:
        architecture = example(name)
        for dropout, ending in ((0.0, ""), (0.1, ", dropout 0.1")):
            ours = step(compiled(architecture, settings, dropout, "masked-lm"), inputs)
            other = step(reference(architecture, settings, dropout, "masked-lm"), inputs)
            what = f"{name}{ending}"
            rows.append(compare(what, ours, "BertForMaskedLM", other, settings.pairs, BESIDE_BERT))
            if not dropout:
                rows.append(compare(what, ours, "itself", ours, settings.pairs))
    return Section("Masked-LM training step", tuple(rows))
