"""A filter before training: what cannot learn is not trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from autobertc.runtime.training.short_runs import Batch


class Junk(Exception):
    """A candidate that is not worth training, and why."""


def check(model: nn.Module, batch: Batch) -> None:
    """Raise `Junk` where outputs or gradients are not finite, a gradient does not reach a weight, or the output at a
    token does not depend on other tokens.

    Args:
        model: with a loss; left as it was, without gradients. Its dropout is off here.
        batch: labels among it; two rows are enough.
    """
    was = model.training
    model.eval()
    try:
        _check_gradients(model, batch)
        _check_mixing(model, batch["input_ids"])
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was)


def _check_gradients(model: nn.Module, batch: Batch) -> None:
    loss = model(**batch).loss
    if not bool(torch.isfinite(loss)):
        raise Junk("the loss before training is not a finite number")
    loss.backward()
    for name, parameter in model.named_parameters():
        # Biases may have none by right: the softmax over keys takes no notice of one that all keys share.
        if parameter.ndim < 2 or _unused(name, batch):
            continue
        if parameter.grad is None or not bool(parameter.grad.any()):
            raise Junk(f"no gradient reaches {name}")
        if not bool(torch.isfinite(parameter.grad).all()):
            raise Junk(f"the gradient of {name} is not finite before training")


def _unused(name: str, batch: Batch) -> bool:
    """Whether nothing in the batch asks for a weight: sentence pairs without labels."""
    return "next_sentence_label" not in batch and ("pooler." in name or "seq_relationship." in name)


@torch.no_grad()
def _check_mixing(model: nn.Module, ids: Tensor) -> None:
    """Exchange one token in the middle of each row: other tokens' outputs must not all stay as they were."""
    place = ids.shape[1] // 2
    other = ids.clone()
    # The row's first token, or where that stands there already the number before it: both are in the vocabulary.
    other[:, place] = torch.where(ids[:, place] == ids[:, 0], ids[:, place] - 1, ids[:, 0]).clamp(min=0)
    base: Any = model.bert
    before, after = (base(input_ids=each).last_hidden_state for each in (ids, other))
    if not (bool(torch.isfinite(before).all()) and bool(torch.isfinite(after).all())):
        raise Junk("the output before training is not finite")
    changed = (before != after).any(-1).any(0)
    changed[place] = False
    if not bool(changed.any()):
        raise Junk("the output at a token does not depend on other tokens")
