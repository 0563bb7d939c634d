"""Models to look into, and sentences for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, PreTrainedTokenizerFast

from autobertc.dsl.architecture import Architecture
from autobertc.dsl.checker import load
from autobertc.runtime.data.errors import reason
from autobertc.runtime.training.models import check_model, is_ours
from autobertc.runtime.training.recipes import TrainingError

Pair = tuple[str, str | None]
"""A sentence and, or not, a second one."""


@dataclass(frozen=True)
class Opened:
    """A base model in eval mode on the device, its tokenizer, and its architecture where autobertc wrote it."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerFast
    architecture: Architecture | None

    @property
    def length(self) -> int:
        """The longest sequence that it takes."""
        return int(self.model.config.max_position_embeddings)


def open_model(name: str) -> Opened:
    """A model folder, or a BERT of the Hub. Raises `TrainingError` where it cannot be loaded."""
    _, tokenizer = check_model(name)
    ours = is_ours(name)
    # The library's fused attention has no maps to give.
    settings = {} if ours else {"attn_implementation": "eager"}
    try:
        model = AutoModel.from_pretrained(name, trust_remote_code=ours, **settings)
    except Exception as error:  # the library raises many kinds
        raise TrainingError(f"cannot load the model {name}: {reason(error)}") from error
    architecture = load(Path(name) / "genome.abz").architecture if ours else None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Opened(name, model.to(device).eval(), tokenizer, architecture)


def encode(opened: Opened, pairs: Sequence[Pair], length: int) -> dict[str, Tensor]:
    """A batch on the model's device, padded on the right to its longest; no more than `length` tokens each.

    Without token types where the model takes none, as DistilBERT does.
    """
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    both = None if None in seconds else seconds
    given = opened.tokenizer(
        firsts,
        both,
        truncation=True,
        max_length=min(length, opened.length),
        padding=True,
        padding_side="right",
        return_tensors="pt",
    ).to(opened.model.device)
    return dict(given)


def batches(opened: Opened, pairs: Sequence[Pair], length: int, size: int) -> Iterator[dict[str, Tensor]]:
    """Pairs in batches, in their order. Raises `TrainingError` where there are none."""
    if not pairs:
        raise TrainingError("there are no sentence pairs to analyse")
    for start in range(0, len(pairs), size):
        yield encode(opened, pairs[start : start + size], length)
