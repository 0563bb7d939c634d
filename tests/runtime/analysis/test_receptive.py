"""Receptive fields: known profiles, kernels, and gradients that a convolution cannot have beyond its width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import architecture

from autobertc.runtime.analysis.loading import Opened, open_model
from autobertc.runtime.analysis.receptive import Field, kernel_fields, receptive_fields
from autobertc.runtime.build import build

PAIRS = [("The class of a list.", "It is an object."), ("A name.", "This function returns a module, or nothing.")]


def test_known_profiles() -> None:
    even = Field.of(np.ones(5))
    assert (even.width, even.itself) == (5, pytest.approx(0.2))
    assert even.spread == pytest.approx(np.sqrt((4 + 1 + 0 + 1 + 4) / 5))
    alone = Field.of(np.array([0, 0, 2.0, 0, 0]))
    assert (alone.width, alone.spread, alone.itself) == (1, 0, 1)
    mostly = Field.of(np.array([1, 4, 90, 4, 1.0]))
    assert mostly.width == 1 and Field.of(np.array([1, 5, 88, 5, 1.0])).width == 3


def test_a_kernel_is_its_softmax(model: str) -> None:
    opened = open_model(model)
    with torch.no_grad():
        kernel = opened.model.encoder.layer[0].convolution.self.kernel
        kernel.zero_()
        kernel[1, 0, 2] = 1e3
    found = kernel_fields(opened)
    assert list(found) == [1] and len(found[1]) == 2
    np.testing.assert_allclose(found[1][0].profile, 1 / 3)
    np.testing.assert_allclose(found[1][1].profile, [0, 0, 1])


def test_convolutions_do_not_reach_beyond_their_widths(model: str) -> None:
    """Two of width 3: one token on each side by a layer's own input, two by the embeddings; attention reaches all."""
    given = open_model(model)
    layers = "conv: 3\nconv: 3\natt: softmax(scale(Q @ K.T)) @ V\n"
    header = "model tiny {\n  hidden: 32  heads: 2  intermediate: 64  vocab: 500  max_length: 64\n}\n"
    backbone = architecture(layers, header)
    torch.manual_seed(0)
    built = Opened(
        "built", build(backbone, "base", vocab_size=given.model.config.vocab_size).eval(), given.tokenizer, backbone
    )
    found = receptive_fields(built, PAIRS, 32)
    assert len(found.layers) == len(found.stack) == 3

    def reach(field: Field) -> int:
        """The farthest offset with any influence."""
        radius = len(field.profile) // 2
        return int(np.abs(np.flatnonzero(field.profile > 1e-12) - radius).max())

    assert [reach(field) for field in found.layers[:2]] == [1, 1]
    assert [reach(field) for field in found.stack[:2]] == [1, 2]
    assert reach(found.layers[2]) > 3 and reach(found.stack[2]) > 3
    for field in (*found.layers, *found.stack):
        assert field.profile.sum() == pytest.approx(1)


def test_influence_is_the_jacobian_s_norm(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate, over many draws, against the Jacobian of one layer, token by token."""
    opened = open_model(model)
    opened.model.double()
    inputs = opened.tokenizer("A name.", "An object.", return_tensors="pt")
    states = opened.model(**inputs, output_hidden_states=True).hidden_states
    start, middle = states[0].detach(), int(inputs["attention_mask"].sum()) // 2
    layer = opened.model.encoder.layer[0]
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0, middle], start)[:, 0]
    norms = jacobian.square().sum((0, 2)).sqrt()
    found = receptive_fields(opened, [("A name.", "An object.")] * 32, 32)
    radius = len(found.layers[0].profile) // 2
    shares = (norms / norms.sum())[middle - 1 : middle + 2].detach().numpy()
    np.testing.assert_allclose(found.layers[0].profile[radius - 1 : radius + 2], shares, rtol=0.1)
