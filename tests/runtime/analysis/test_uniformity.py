"""Token uniformity: known values, the layers in their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel

from autobertc.runtime.analysis.report import Request, analyse
from autobertc.runtime.analysis.uniformity import MEASURES, one_infinity, uniformity
from autobertc.runtime.training.models import check_model

PAIRS = [("The class of a list.", "It is an object."), ("A name.", "This function returns a module, or nothing.")]


def test_tokens_that_are_the_same() -> None:
    found = uniformity(torch.tensor([[1.0, 2.0, -3.0]]).repeat(5, 1))
    assert found == pytest.approx({"residual_frobenius": 0, "residual_one_infinity": 0, "cosine": 1}, abs=1e-12)


def test_tokens_without_a_common_part() -> None:
    found = uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    assert found == pytest.approx({"residual_frobenius": 1, "residual_one_infinity": 1, "cosine": -1})


def test_against_their_definitions() -> None:
    hidden = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, residual = hidden.numpy(), (hidden - hidden.mean(0)).numpy()
    norms = [np.sqrt(np.linalg.norm(m, 1) * np.linalg.norm(m, np.inf)) for m in (residual, values)]
    cosines = [
        values[i] @ values[j] / np.linalg.norm(values[i]) / np.linalg.norm(values[j])
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    found = uniformity(hidden)
    assert found["residual_frobenius"] == pytest.approx(np.linalg.norm(residual) / np.linalg.norm(values))
    assert found["residual_one_infinity"] == pytest.approx(norms[0] / norms[1])
    assert found["cosine"] == pytest.approx(np.mean(cosines))
    assert float(one_infinity(hidden)) == pytest.approx(norms[1])


def test_layers_and_padding(model: str) -> None:
    """Each sequence as if alone, embeddings first and the model's output last."""
    found = analyse(model, Request(PAIRS, 32, ("uniformity",)))
    loaded = AutoModel.from_pretrained(model, trust_remote_code=True).eval()
    tokenizer = check_model(model)[1]
    outputs = []
    for pair in PAIRS:
        with torch.no_grad():
            outputs.append(loaded(**tokenizer(*pair, return_tensors="pt"), output_hidden_states=True))
    assert found.uniformity is not None and found.maps is found.receptive is found.latency is None
    assert all(len(values) == 3 for values in found.uniformity.values())
    for name in MEASURES:
        last = np.mean([uniformity(output.last_hidden_state[0])[name] for output in outputs])
        first = np.mean([uniformity(output.hidden_states[0][0])[name] for output in outputs])
        assert found.uniformity[name][-1] == pytest.approx(last, rel=1e-4)
        assert found.uniformity[name][0] == pytest.approx(first, rel=1e-4)
    assert found.parameters == sum(each.numel() for each in loaded.parameters())
