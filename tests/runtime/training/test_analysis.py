"""Token uniformity: known values, the layers in their order, and the folder that the command makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import autobertc
from training_runs import silent, tiny_run
from transformers import AutoModel

from autobertc.runtime.analysis import MEASURES, analyse, one_infinity, uniformity
from autobertc.runtime.training.models import check_model
from autobertc.runtime.training.pretraining import pretrain

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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    pretrain(tiny_run(changes={"steps": 2}, held_out=0.0), folder, say=silent)
    return str(folder)


def test_layers_and_padding(model: str) -> None:
    """Each sequence as if alone, embeddings first and the model's output last."""
    found = analyse(model, PAIRS, 32)
    loaded = AutoModel.from_pretrained(model, trust_remote_code=True).eval()
    tokenizer = check_model(model)[1]
    outputs = []
    for pair in PAIRS:
        with torch.no_grad():
            outputs.append(loaded(**tokenizer(*pair, return_tensors="pt"), output_hidden_states=True))
    assert all(len(values) == 3 for values in found.uniformity.values())
    for name in MEASURES:
        last = np.mean([uniformity(output.last_hidden_state[0])[name] for output in outputs])
        first = np.mean([uniformity(output.hidden_states[0][0])[name] for output in outputs])
        assert found.uniformity[name][-1] == pytest.approx(last, rel=1e-4)
        assert found.uniformity[name][0] == pytest.approx(first, rel=1e-4)
    assert found.parameters == sum(each.numel() for each in loaded.parameters())


def test_the_command(model: str, tmp_path: Path) -> None:
    options = ["-o", tmp_path / "out", "--data", "default:manual", "--pairs", "20", "--length", "32"]
    done = autobertc("analyze", model, model, *options)
    assert "parameters" in done.stdout and "wrote" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"analysis.json", "uniformity.png", "uniformity.svg"}
    content = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert len(content) == 2 and content[0] == content[1] and content[0]["flops"]["length"] == 32
    assert "is there already" in autobertc("analyze", model, *options, expect=1).stderr
    assert "cannot load the model" in autobertc("analyze", "no/such", "-o", tmp_path / "b", expect=1).stderr
