"""Models on fused kernels: emitted, loaded where autobertc is not, compiled whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fused_kernels import DEVICE

from autobertc.dsl import parse
from autobertc.dsl.ops import Elementwise, registered
from autobertc.dsl.ops.calculus import MissingKernel
from autobertc.runtime.build import build
from autobertc.runtime.emission import emit, initial_model
from autobertc.runtime.inspection import inspect_plans

TEXT = """model small { hidden: 64  heads: 2  intermediate: 96  vocab: 120  max_length: 64  dropout: 0 }
conv: 9
att: matmul(softmax(scale(matmul(Q, neg(transpose(logsigmoid(neg(K))))))), add(K, Q))
conv: 65
att: softsign(scale(Q @ K.T)) @ V
att: (Q @ K.T) @ (V + P)
"""
# Run where none of these can be imported; the model's output goes to a file.
ELSEWHERE = """
import sys
for name in ("autobertc", "jinja2", "lark"):
    sys.modules[name] = None
import torch, transformers
torch.set_num_threads(1)
folder, inputs, output = sys.argv[1:]
model = transformers.AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True).eval()
assert model.config.backend == "triton"
given = torch.load(inputs)
device = "cuda" if torch.cuda.is_available() else "cpu"
model.to(device)
result = model(**{name: value.to(device) for name, value in given.items()})
# Outputs at padded tokens mean nothing.
(result.logits * given["attention_mask"][..., None].to(device)).square().mean().backward()
gradient = model.bert.encoder.layer[1].attention.self.query.weight.grad
torch.save((result.logits.detach().cpu(), gradient.cpu()), output)
"""


def batch(length: int = 40) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(2, length, dtype=torch.long)
    mask[1, 25:] = 0
    return {"input_ids": torch.randint(5, 120, (2, length), generator=generator), "attention_mask": mask}


def loss(logits: torch.Tensor, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of real tokens: outputs at padded ones mean nothing."""
    return (logits * given["attention_mask"][..., None]).square().mean()


def outputs(model, given):
    model = model.eval()
    logits = model(**given).logits
    (gradient,) = torch.autograd.grad(loss(logits, given), [model.bert.encoder.layer[1].attention.self.query.weight])
    return logits.detach(), gradient


def test_an_emitted_model_runs_on_kernels_without_autobertc(tmp_path: Path) -> None:
    architecture = parse(TEXT)
    model = initial_model(architecture, head="masked-lm", backend="eager")
    folder = emit(architecture, tmp_path / "out", model=model, backend="triton")
    assert (folder / "kernels_autobertc.py").exists()
    planned = json.loads((folder / "plan.json").read_text())
    assert planned["programs"] == json.loads(json.dumps(inspect_plans(architecture)["programs"]))
    given = batch()
    torch.save(given, tmp_path / "inputs.pt")
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", ELSEWHERE, str(folder), str(tmp_path / "inputs.pt"), str(tmp_path / "outputs.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "outputs.pt")
    plain = outputs(model, given)
    exact = outputs(model.double(), given)
    real = given["attention_mask"].bool()
    for index, (value, rough, oracle) in enumerate(zip(found, plain, exact, strict=True)):
        if index == 0:
            value, rough, oracle = value[real], rough[real], oracle[real]
        size = float(oracle.abs().max())
        budget = 2 * (float((rough.double() - oracle).abs().max()) + torch.finfo(torch.float32).eps * size)
        assert float((value.double() - oracle).abs().max()) <= budget


def test_a_whole_model_compiles_with_kernels_in_place() -> None:
    torch.manual_seed(0)
    model = build(parse(TEXT), head="masked-lm", backend="triton").to(DEVICE).eval()
    given = {name: value.to(DEVICE) for name, value in batch().items()}
    expected = outputs(model, given)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager" if DEVICE == "cpu" else "inductor")
    logits = compiled(**given).logits
    assert torch.allclose(logits, expected[0], atol=1e-5)
    loss(logits, given).backward()
    gradient = model.bert.encoder.layer[1].attention.self.query.weight.grad
    assert torch.allclose(gradient, expected[1], atol=1e-6)


def test_an_eager_folder_has_no_kernels(tmp_path: Path) -> None:
    folder = emit(parse(TEXT), tmp_path / "out", backend="eager")
    assert not (folder / "kernels_autobertc.py").exists()
    assert not (folder / "plan.json").exists()
    assert "kernels_autobertc" not in (folder / "modeling_autobertc.py").read_text()


def test_auto_is_eager_on_a_cpu(tmp_path: Path) -> None:
    if DEVICE != "cpu":
        pytest.skip("there is a GPU")
    automatic, eager = (build(parse(TEXT), head="masked-lm", backend=backend) for backend in ("auto", "eager"))
    automatic.load_state_dict(eager.state_dict())
    assert torch.equal(outputs(automatic, batch())[0], outputs(eager, batch())[0])


def test_training_with_dropout_repeats_with_a_seed() -> None:
    model = build(parse(TEXT.replace("dropout: 0", "dropout: 0.1")), head="masked-lm", backend="triton").to(DEVICE)
    given = {name: value.to(DEVICE) for name, value in batch(24).items()}
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(**given, labels=given["input_ids"]).loss.item())
    assert losses[0] == losses[1] != losses[2]


def test_a_primitive_without_kernel(tmp_path: Path) -> None:
    bare = Elementwise(name="bare", formula="x", numpy=lambda np, x: x, torch="{0} * 1")
    with registered(bare):
        architecture = parse(TEXT + "att: bare(Q) @ (K.T @ V)\n")
        with pytest.raises(MissingKernel, match="'bare'"):
            emit(architecture, tmp_path / "out", backend="triton")
        assert not (tmp_path / "out").exists()
        folder = emit(architecture, tmp_path / "out")
        text = (folder / "modeling_autobertc.py").read_text()
        assert text.count("partial(kernels") == 3
