"""Attention maps: what each head of each layer looks at.

A program's map is its last softmax of type [N,N] (`output_attentions`). Layers without one, convolutions and linear
attention among them, have no map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autobertc.runtime.analysis.loading import Opened, Pair, batches, encode

SHOWN = 32
"""Positions of the mean map: few sequences are much longer than this."""
MEASURES = {
    "entropy": "entropy of a row, share of that of an even one",
    "distance": "mean distance, tokens",
    "itself": "weight on the token itself",
    "neighbours": "weight on its two neighbours",
    "first": "weight on the first token",
}


@dataclass(frozen=True)
class AttentionMaps:
    """Maps over many sequences.

    Attributes:
        layers: `[layers]`, the numbers from 1 of the layers that have a map.
        mean: `[layers, heads, M, M]`, the mean map over the first positions; each entry over the sequences that
            have both of its tokens.
        measures: each of `MEASURES` by layer and head, `[layers, heads]`.
    """

    layers: tuple[int, ...]
    mean: NDArray[np.float64]
    measures: dict[str, NDArray[np.float64]]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        measured = {name: values.round(6).tolist() for name, values in self.measures.items()}
        return {"layers": list(self.layers), "measures": measured, "mean": self.mean.round(5).tolist()}


@dataclass(frozen=True)
class SentenceMaps:
    """The maps of one sequence: `maps[layer, head, i, j]` is how much token i takes of token j."""

    layers: tuple[int, ...]
    tokens: tuple[str, ...]
    maps: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"layers": list(self.layers), "tokens": list(self.tokens), "maps": self.maps.round(5).tolist()}


def layers_with_maps(opened: Opened) -> tuple[int, ...]:
    """The numbers from 1 of the layers that have a map."""
    config = opened.model.config
    if opened.architecture is None:
        return tuple(range(1, config.num_hidden_layers + 1))
    programs = opened.model.programs
    return tuple(
        number
        for number, layer in enumerate(config.layers, start=1)
        if layer["type"] == "attention" and programs[layer["program"]].with_map is not None
    )


def measure(maps: Tensor) -> dict[str, Tensor]:
    """The measures of maps `[..., N, N]`, means over rows. Rows count by their weights' magnitudes, as shares."""
    length = maps.shape[-1]
    shares = maps.abs() / maps.abs().sum(-1, keepdim=True).clamp_min(1e-12)
    positions = torch.arange(length, device=maps.device)
    apart = (positions[:, None] - positions).abs()
    entropy = torch.special.entr(shares).sum(-1).mean(-1) / max(np.log(length), 1e-12)
    return {
        "entropy": entropy,
        "distance": (shares * apart).sum(-1).mean(-1),
        "itself": (shares * (apart == 0)).sum(-1).mean(-1),
        "neighbours": (shares * (apart == 1)).sum(-1).mean(-1),
        "first": shares[..., 0].mean(-1),
    }


@torch.no_grad()
def attention_maps(opened: Opened, pairs: Sequence[Pair], length: int, size: int = 16) -> AttentionMaps | None:
    """Mean maps and measures over sequences, None where no layer has a map."""
    layers = layers_with_maps(opened)
    if not layers:
        return None
    shown = min(SHOWN, length)
    sums: dict[str, Any] = dict.fromkeys(MEASURES, 0.0)
    total = counts = None
    for inputs in batches(opened, pairs, length, size):
        found = opened.model(**inputs, output_attentions=True).attentions
        for number, mask in enumerate(inputs["attention_mask"].bool()):
            real = int(mask.sum())
            maps = torch.stack([each[number, :, :real, :real] for each in found]).double().cpu()
            for name, values in measure(maps).items():
                sums[name] = sums[name] + values.numpy()
            if total is None or counts is None:
                total, counts = np.zeros((*maps.shape[:2], shown, shown)), np.zeros((shown, shown))
            kept = min(real, shown)
            total[:, :, :kept, :kept] += maps[:, :, :kept, :kept].numpy()
            counts[:kept, :kept] += 1
    assert total is not None and counts is not None
    there = int((np.diagonal(counts) > 0).sum())
    mean = total[:, :, :there, :there] / counts[:there, :there]
    return AttentionMaps(layers, mean, {name: values / len(pairs) for name, values in sums.items()})


@torch.no_grad()
def sentence_maps(opened: Opened, pair: Pair, length: int) -> SentenceMaps | None:
    """The maps of one sentence or pair, None where no layer has a map."""
    layers = layers_with_maps(opened)
    if not layers:
        return None
    inputs = encode(opened, [pair], length)
    found = opened.model(**inputs, output_attentions=True).attentions
    tokens = opened.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    return SentenceMaps(layers, tuple(tokens), torch.stack([each[0] for each in found]).double().cpu().numpy())
