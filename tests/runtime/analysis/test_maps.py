"""Attention maps: measures of known maps, padding, layers with and without a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel

from autobertc.runtime.analysis.loading import open_model
from autobertc.runtime.analysis.maps import attention_maps, layers_with_maps, measure, sentence_maps

PAIRS = [("The class of a list.", "It is an object."), ("A name.", "This function returns a module, or nothing.")]


def test_known_maps() -> None:
    even = measure(torch.full((4, 4), 0.25))
    assert [float(even[name]) for name in ("entropy", "itself", "first")] == pytest.approx([1, 0.25, 0.25])
    assert float(even["distance"]) == pytest.approx(1.25)
    own = measure(torch.eye(4))
    assert [float(own[name]) for name in ("entropy", "itself", "neighbours", "distance")] == [0, 1, 0, 0]
    # A map of negative weights that do not sum to 1, as programs may have.
    assert float(measure(-3 * torch.eye(4))["itself"]) == 1


def test_mean_distance_against_its_definition() -> None:
    weights = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0)).softmax(-1)
    expected = [np.mean([sum(abs(i - j) * float(m[i, j]) for j in range(5)) for i in range(5)]) for m in weights]
    assert measure(weights)["distance"].tolist() == pytest.approx(expected)


def test_each_sequence_as_if_alone(model: str) -> None:
    """Padding, which the shorter pair has in the batch, is in no map."""
    opened = open_model(model)
    assert layers_with_maps(opened) == (2,)
    found = attention_maps(opened, PAIRS, 32)
    assert found is not None and found.layers == (2,)
    each = [sentence_maps(opened, pair, 32) for pair in PAIRS]
    alone = [one.maps for one in each if one is not None]
    assert len(alone) == 2 and len({maps.shape[-1] for maps in alone}) == 2
    for name, values in found.measures.items():
        expected = np.mean([measure(torch.from_numpy(maps))[name].numpy() for maps in alone], axis=0)
        np.testing.assert_allclose(values, expected, rtol=1e-4)
    shorter = min(maps.shape[-1] for maps in alone)
    longest = max(alone, key=lambda maps: maps.shape[-1])
    expected = np.mean([maps[:, :, :shorter, :shorter] for maps in alone], axis=0)
    np.testing.assert_allclose(found.mean[:, :, :shorter, :shorter], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.mean[:, :, -1], longest[:, :, -1], rtol=1e-4, atol=1e-6)


def test_a_sentence_has_the_model_s_own_maps(model: str, bert: str) -> None:
    for name in (model, bert):
        opened = open_model(name)
        found = sentence_maps(opened, ("A class is an object.", None), 32)
        assert found is not None and found.tokens[0] == "[CLS]" and found.tokens[-1] == "[SEP]"
        settings = {"trust_remote_code": True} if name == model else {"attn_implementation": "eager"}
        other = AutoModel.from_pretrained(name, **settings).eval()
        inputs = opened.tokenizer("A class is an object.", return_tensors="pt")
        with torch.no_grad():
            expected = other(**inputs, output_attentions=True).attentions
        assert len(expected) == len(found.layers)
        np.testing.assert_allclose(found.maps, torch.stack([each[0] for each in expected]).numpy(), rtol=1e-5)
        np.testing.assert_allclose(found.maps.sum(-1), 1, rtol=1e-5)
