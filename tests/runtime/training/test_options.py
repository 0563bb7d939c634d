"""What a recipe can have beside the presets: first weights, Muon, a growing batch, streams, compile, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import autobertc
from safetensors.torch import load_file, save_file
from tiny import architecture
from torch import nn
from training_runs import HEADER, LAYERS, Interrupted, curves, interrupt, silent, tiny_run

from autobertc.dsl.errors import UserError
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.emission import initial_model
from autobertc.runtime.training import preparation, pretraining
from autobertc.runtime.training.batches import RampSampler, batch_sizes, steps_within
from autobertc.runtime.training.initial_weights import from_folder
from autobertc.runtime.training.muon import MuonWithAdamW, is_hidden_matrix, make_optimizer
from autobertc.runtime.training.pretraining import first_weights, pretrain
from autobertc.runtime.training.trainer import PretrainingTrainer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    pretrain(tiny_run(changes={"steps": 2}, held_out=0.0), folder, say=silent)
    return folder


def _resumes_to_the_same_bits(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch, step: int = 6
) -> list[dict[str, float]]:
    """Run whole, and stopped in a step and resumed; the curves."""
    pretrain(run, place / "whole", say=silent)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, step)
        pretrain(run, place / "cut", say=silent)
    said: list[str] = []
    pretrain(run, place / "cut", resume=True, say=said.append)
    assert "resuming after step 4" in said
    assert curves(place / "whole") == curves(place / "cut")
    ours, theirs = (load_file(place / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    return curves(place / "whole")


# First weights


def _begun(run: Any, folder: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    said: list[str] = []
    prepared = preparation.prepare(run, say=silent)
    model = first_weights(replace(run, initial=from_folder(folder)), prepared, said.append)
    return model.state_dict(), said


def test_all_weights_of_a_model_of_the_same_kind(model: Path) -> None:
    state, said = _begun(tiny_run(tokenizer=model), model)
    given = load_file(model / "model.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in given.items())
    assert len(said) == 1 and "100.0% of the parameters" in said[0]


def test_weights_that_fit_and_those_that_do_not(model: Path) -> None:
    other = architecture("conv: 5\nconv: 3\n", HEADER)
    state, said = _begun(replace(tiny_run(tokenizer=model), architecture=other), model)
    given, drawn = load_file(model / "model.safetensors"), initial_model(other, 0).state_dict()
    kernel, dense = "bert.encoder.layer.0.convolution.self.kernel", "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(state[kernel], drawn[kernel]) and torch.equal(state[dense], given[dense])
    text = "\n".join(said)
    assert f"drawn anew, of other shapes: {kernel} is [2, 1, 3] there, [2, 1, 5] here" in text
    assert "drawn anew, not there: bert.encoder.layer.1.convolution" in text
    assert "not used: bert.encoder.layer.1.attention" in text


def test_words_of_another_tokenizer_are_drawn_anew(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "words.txt"
    text.write_text("some other words than those of the manual\n" * 20)
    run = tiny_run(tokenizer=text, vocab=80)
    run = replace(run, architecture=preparation.fit_vocabulary(run.architecture, run.source, 80)[0])
    state, said = _begun(run, model)
    given = load_file(model / "model.safetensors")
    words, positions = (f"bert.embeddings.{kind}_embeddings.weight" for kind in ("word", "position"))
    assert state[words].shape != given[words].shape and torch.equal(state[positions], given[positions])
    assert "its tokenizer is another" in "\n".join(said)


def test_a_file_of_tensors_and_files_of_none(tmp_path: Path) -> None:
    bias = torch.full((32,), 3.0)
    save_file({"encoder.layer.0.output.LayerNorm.beta": bias}, tmp_path / "some.safetensors")
    state, _ = _begun(tiny_run(), tmp_path / "some.safetensors")
    assert torch.equal(state["bert.encoder.layer.0.output.LayerNorm.bias"], bias)
    save_file({"other": bias}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"no weight of .*other\.safetensors has a name and a shape"):
        _begun(tiny_run(), tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(UserError, match="cannot read"):
        _begun(tiny_run(), tmp_path / "broken.safetensors")
    with pytest.raises(UserError, match="holds no weights"):
        from_folder(tmp_path / "nowhere")


def test_a_run_from_a_model_resumes(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(tiny_run(tokenizer=model), initial=from_folder(model))
    _resumes_to_the_same_bits(run, tmp_path, monkeypatch)
    assert f"begun from | {model}" in (tmp_path / "cut" / "README.md").read_text()
    first = pretrain(replace(run, recipe=replace(run.recipe, steps=1)), tmp_path / "one", say=silent)
    afresh = pretrain(replace(run, recipe=replace(run.recipe, steps=1), initial=None), tmp_path / "two", say=silent)
    assert first["mlm_loss"] < afresh["mlm_loss"]


def test_a_place_without_weights(tmp_path: Path) -> None:
    genome = tmp_path / "tiny.abz"
    genome.write_text(HEADER + LAYERS)
    (tmp_path / "empty").mkdir()
    for place, message in (("empty", "neither a model folder nor a search's run"), ("none", "to take weights from")):
        options = ["-o", tmp_path / "out", "--init-from", tmp_path / place]
        assert message in autobertc("pretrain", genome, *options, expect=1).stderr


# Muon


def test_muon_has_the_layers_matrices() -> None:
    made = initial_model(architecture(LAYERS, HEADER), head="masked-lm")
    found = [name for name, parameter in made.named_parameters() if is_hidden_matrix(name, parameter)]
    assert "bert.encoder.layer.0.convolution.self.input.weight" in found
    assert "bert.encoder.layer.1.attention.self.query.weight" in found
    assert not [name for name in found if "embeddings" in name or "kernel" in name or not name.endswith("weight")]


def test_muon_s_step_is_orthogonal_and_of_adamw_s_size() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(48, 16)])})
            self.head = nn.Linear(4, 4)

    made = Model()
    matrix, head = made.encoder["layer"][0].weight, made.head.weight  # type: ignore[index]
    before, before_head = matrix.detach().clone(), head.detach().clone()
    torch.manual_seed(0)
    for parameter in made.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer = make_optimizer(made, ["head.weight"], 1e-2, 0.0, betas=(0.9, 0.999), eps=1e-8)
    optimizer.step()
    step = (before - matrix.detach()) / 1e-2 / (0.2 * 48**0.5)
    values = torch.linalg.svdvals(step)
    assert values.min() > 0.5 and values.max() < 1.5
    assert (before_head - head.detach()).abs().numpy() == pytest.approx(np.full((4, 4), 1e-2), rel=1e-3)
    other = make_optimizer(made, ["head.weight"], 1e-2, 0.0)
    other.load_state_dict(optimizer.state_dict())
    schedule = torch.optim.lr_scheduler.LambdaLR(other, lambda step: 0.5)
    assert schedule.get_last_lr() == [5e-3] * 3
    assert [group["lr"] for part in other.parts for group in part.param_groups] == [5e-3] * 3


def test_a_run_with_muon_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original = PretrainingTrainer.create_optimizer
    patched = lambda self, model=None: seen.append(original(self, model)) or seen[-1]  # noqa: E731
    monkeypatch.setattr(PretrainingTrainer, "create_optimizer", patched)
    run = tiny_run("modern", {"optimizer": "muon", "learning_rate": 3e-3, "unigram_bias": False})
    losses = _resumes_to_the_same_bits(run, tmp_path, monkeypatch)
    assert losses[-1]["mlm_loss"] < losses[0]["mlm_loss"]
    assert all(isinstance(optimizer, MuonWithAdamW) for optimizer in seen)


# A growing batch


def test_batches_grow_in_a_line() -> None:
    assert batch_sizes(8, 8, 0.5).tolist() == [2, 4, 5, 7, 8, 8, 8, 8]
    assert batch_sizes(8, 8, 0.5, 4).tolist() == [4, 4, 8, 8, 8, 8, 8, 8]
    assert batch_sizes(3, 8, 0.0).tolist() == [8, 8, 8]
    for rows in (7, 100, 1000):
        steps = steps_within(rows, 8, 0.3, 2)
        assert batch_sizes(steps, 8, 0.3, 2).sum() <= rows < batch_sizes(steps + 1, 8, 0.3, 2).sum()


def test_devices_share_the_rows_of_each_step() -> None:
    sizes = batch_sizes(6, 16, 0.6, 4)
    parts = [list(RampSampler(sizes, 2, 2, device)) for device in (0, 1)]
    assert all(len(part) == len(RampSampler(sizes, 2)) == 12 for part in parts)
    start = 0
    for step, size in enumerate(sizes.tolist()):
        rows = [row for part in parts for batch in part[2 * step : 2 * step + 2] for row in batch]
        assert sorted(rows) == list(range(start, start + size))
        start += size


def test_a_run_whose_batch_grows_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(changes={"batch_ramp": 0.7, "batch": 16, "dropout": 0.0}, micro_batch=8)
    windows = _resumes_to_the_same_bits(run, tmp_path, monkeypatch)
    sizes = batch_sizes(8, 16, 0.7, 2)
    assert [window["sequences"] for window in windows] == sizes.reshape(4, 2).sum(1).tolist()
    # Cut another way it is the same: losses are divided by each step's own masked tokens.
    pretrain(replace(run, micro_batch=4), tmp_path / "finer", say=silent)
    assert windows[-1]["mlm_loss"] == pytest.approx(curves(tmp_path / "finer")[-1]["mlm_loss"], rel=0.1)


# Streams


def test_a_stream_trains_and_resumes(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tokenizer=model, streaming=True, held_out=0.2)
    windows = _resumes_to_the_same_bits(run, tmp_path, monkeypatch)
    metrics = json.loads((tmp_path / "whole" / "training.json").read_text())["metrics"]
    assert {"held_out_mlm_loss", "held_out_unigram_loss"} <= metrics.keys() and len(windows) == 4


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"steps": None, "epochs": 1}, {}, "a stream has no length"),
        ({"batch_ramp": 0.5}, {}, "the batch cannot grow on a stream"),
        ({}, {"tokenizer": None}, "no tokenizer is trained on a stream"),
        ({}, {"held_out": 1e-9}, "0 of the first .* are held out"),
    ],
)
def test_what_a_stream_cannot(model: Path, changes: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    run = tiny_run(changes=changes, **{"tokenizer": model, "streaming": True, **settings})
    with pytest.raises(UserError, match=message):
        preparation.prepare(run, say=silent)


# Whole words, compile, reports


def test_whole_words_from_the_command_line(tmp_path: Path) -> None:
    genome = tmp_path / "tiny.abz"
    genome.write_text(HEADER + LAYERS)
    options = "--steps 2 --batch 4 --length 16 --held-out 0 --whole-words --batch-ramp 0.5 --optimizer muon"
    autobertc("pretrain", genome, "-o", tmp_path / "out", "--data", "default:manual", *options.split())
    recipe = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]["recipe"]
    assert recipe["whole_words"] and recipe["batch_ramp"] == 0.5 and recipe["optimizer"] == "muon"


def test_compile_is_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(changes={"compile": True, "steps": 2}, held_out=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "can_compile", lambda: False)
        with pytest.raises(UserError, match="--compile is for a GPU"):
            pretrain(run, tmp_path / "out", say=silent)


def test_a_compiled_model_trains_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the tracer, without its code generator, which a CPU's compiler would take a minute for."""
    monkeypatch.setattr(preparation, "can_compile", lambda: True)
    monkeypatch.setattr(pretraining, "COMPILER", "eager")
    run = tiny_run("modern", {"steps": 2, "precision": "float32", "compile": True}, held_out=0.0, log_every=1)
    pretrain(run, tmp_path / "compiled", say=silent)
    pretrain(replace(run, recipe=replace(run.recipe, compile=False)), tmp_path / "plain", say=silent)
    for one, other in zip(curves(tmp_path / "compiled"), curves(tmp_path / "plain"), strict=True):
        assert one["mlm_loss"] == pytest.approx(other["mlm_loss"], rel=1e-5)
        assert one["mlm_accuracy"] == pytest.approx(other["mlm_accuracy"])


def test_tensorboard_has_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "out.training" / "logs"))
    run = tiny_run(changes={"steps": 4}, report_to=("tensorboard",), held_out=0.0)
    pretrain(run, tmp_path / "out", say=silent)
    events = accumulator.EventAccumulator(str(tmp_path / "out" / "logs"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("train/mlm_loss")]
    expected = [(window["step"], window["mlm_loss"]) for window in curves(tmp_path / "out")]
    assert [step for step, _ in found] == [2, 4]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])


def _documents(corpus: Any) -> list[tuple[int, ...]]:
    edges = corpus.sentence_starts[corpus.document_starts].tolist()
    return [tuple(corpus.tokens(first, end).tolist()) for first, end in pairwise(edges)]


def test_a_stream_leaves_out_what_is_held_out_and_begins_again(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"The first line of {n}. Another one, number {n}." for n in range(60)))
    run = tiny_run(sources=(TextSource.parse(str(text)),), tokenizer=text, vocab=100, streaming=True, held_out=0.2)
    prepared = preparation.prepare(run, say=silent)
    rows = iter(prepared.examples)
    assert [next(rows)["draw"] for _ in range(400)][-1] > 0  # again from its start
    assert prepared.held_out is not None
    held = _documents(prepared.held_out.corpus)
    streamed = [document for block in prepared.examples._blocks() for document in _documents(block)]
    assert len(held) + len(streamed) == len({*held, *streamed}) == 60 and len(held) >= 2
