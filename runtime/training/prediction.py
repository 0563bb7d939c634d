"""What a model gives for features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autobertc.runtime.tasks.base import Logits

_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
_OUTSIDE = -1e4  # the score of a position that a shorter window does not have


@torch.no_grad()
def predict(model: Any, features: Any, collate: Any, batch: int) -> Logits:
    """Logits of all features in their order: `[rows, labels]`, or of spans a pair `[features, N]`, N the longest."""
    was, device = model.training, next(model.parameters()).device
    model.eval()
    given = features.select_columns([name for name in _INPUTS if name in features.column_names])
    choices = bool(len(given)) and isinstance(given[0]["input_ids"][0], list)
    lengths = [len(ids) for ids in given["input_ids"]]
    order = np.argsort(lengths, kind="stable")  # rows of like length together: less padding
    found: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(given), batch):
        rows = [given[int(number)] for number in order[start : start + batch]]
        if choices:  # that collator wants labels
            rows = [{**row, "labels": 0} for row in rows]
        inputs = {name: value.to(device) for name, value in collate(rows).items() if name in _INPUTS}
        outputs = model(**inputs)
        chosen = (outputs.start_logits, outputs.end_logits) if hasattr(outputs, "start_logits") else (outputs.logits,)
        found.append(tuple(each.float().cpu().numpy() for each in chosen))
    model.train(was)
    back = np.argsort(order)
    if len(found[0]) == 1:
        return np.concatenate([each[0] for each in found])[back]
    width = max(each[0].shape[1] for each in found)
    starts, ends = (
        np.concatenate(
            [np.pad(each[i], ((0, 0), (0, width - each[i].shape[1])), constant_values=_OUTSIDE) for each in found]
        )[back]
        for i in (0, 1)
    )
    return starts, ends
