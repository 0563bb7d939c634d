"""Latency and memory beside BERT: sizes that are the same, weights that count, numbers that can be."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import architecture

from autobertc.dsl.architecture import print_architecture
from autobertc.dsl.checker import load
from autobertc.runtime.analysis import latency
from autobertc.runtime.analysis.latency import bert_of, measure_latency, peak
from autobertc.runtime.analysis.memory import make_bert, peak_here
from autobertc.runtime.analysis.timing import alternate, interval
from autobertc.runtime.inspection import count_parameters


@pytest.mark.parametrize("name", ["bert-small", "bert-base"])
def test_bert_has_the_parameters_of_ours(name: str) -> None:
    """With and without narrow embeddings; the library's narrow one has no pooler."""
    backbone = load(Path(__file__).parents[3] / "examples" / f"{name}.abz").architecture
    with torch.device("meta"):
        bert = make_bert(bert_of(backbone))
    pooler = 0 if backbone.sizes.embedding is None else backbone.sizes.hidden * (backbone.sizes.hidden + 1)
    assert sum(each.numel() for each in bert.parameters()) + pooler == count_parameters(backbone)["total"]


def test_peak_has_the_weights_and_grows_with_the_batch() -> None:
    backbone = architecture("bert")
    genome = print_architecture(backbone)
    weights = 4 * count_parameters(backbone)["total"]
    assert peak_here(genome, 1, 8) >= weights
    # 512 sequences of 64 tokens: 4 MiB a hidden state of 32, twice that in the feed-forward block.
    assert peak(genome, 512, 64) > weights + 8 * 2**20


def test_a_model_beside_bert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "peak", peak_here)  # a fresh process takes seconds
    found = measure_latency(architecture("mixed"), batch=2, length=999, pairs=4)
    assert (found.batch, found.length, found.pairs) == (2, 64, 4)
    assert found.seconds > 0 and found.bert_seconds > 0 and found.low <= found.ratio <= found.high
    assert found.memory > 0 and found.bert_memory > 0


def test_turns_and_the_limit() -> None:
    calls: list[str] = []
    found = alternate(lambda: calls.append("a"), lambda: calls.append("b"), 3, warm=1)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab" and len(found.ratios) == 3
    calls.clear()
    assert len(alternate(lambda: calls.append("a"), lambda: None, 50, warm=0, limit=0.0).ours) == 3
    assert interval([3.0, 1.0, 2.0]) == (1.0, 3.0) and math.isfinite(found.medians[0])
