"""Compiled folders: what Hugging Face makes of them, with autobertc out of reach and within."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from command_line import HEADER
from tiny import LAYERS, architecture
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining

from autobertc.compiler.module_text import HEADS
from autobertc.dsl.architecture import Architecture, Sizes
from autobertc.dsl.checker import check
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source
from autobertc.runtime.emission import AUTO_CLASSES, emit, initial_model
from autobertc.runtime.files import OutputError

Emitted = Callable[[str], Path]
Batch = dict[str, torch.Tensor]

# Run where an import of autobertc raises; prints one JSON object for each folder.
ELSEWHERE = """
import json, sys, warnings
sys.modules["autobertc"] = None
warnings.simplefilter("error")
import torch, transformers
torch.set_num_threads(1)
ids = torch.arange(5, 15)[None]
for folder in sys.argv[2:]:
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    facts = {"config": type(config).__name__, "heads": {}}
    for auto in sys.argv[1].split(","):
        model = getattr(transformers, auto).from_pretrained(folder, trust_remote_code=True)
        assert not model.training
        with torch.no_grad():
            output = model(ids[None].repeat(1, 2, 1) if "MultipleChoice" in auto else ids)
        assert all(value.isfinite().all() for value in output.to_tuple())
        facts["heads"][auto] = type(model).__name__
        if auto == "AutoModelForPreTraining":
            facts["sum"] = output.prediction_logits.double().abs().sum().item()
    fresh = transformers.AutoModel.from_config(config, trust_remote_code=True)
    assert fresh(ids).last_hidden_state.shape == (1, 10, config.hidden_size)
    print(json.dumps(facts))
assert not any(name.startswith("autobertc.") for name in sys.modules)
"""


def test_loads_without_autobertc(emitted: Emitted, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    environment = {**os.environ, "HF_HOME": str(cache), "HF_MODULES_CACHE": str(cache / "modules")}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, ",".join(AUTO_CLASSES), *(str(emitted(layers)) for layers in LAYERS)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**environment, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for layers, line in zip(LAYERS, done.stdout.splitlines(), strict=True):
        facts = json.loads(line)
        assert facts["config"] == "AutobertcConfig"
        assert facts["heads"] == {auto: HEADS[head] for auto, head in AUTO_CLASSES.items()}
        with torch.no_grad():
            logits = initial_model(architecture(layers))(torch.arange(5, 15)[None]).prediction_logits
        assert facts["sum"] == pytest.approx(logits.double().abs().sum().item(), rel=1e-6)


@pytest.mark.parametrize("layers", LAYERS)
def test_round_trip(layers: str, emitted: Emitted, tmp_path: Path, batch: Batch) -> None:
    first = AutoModelForPreTraining.from_pretrained(emitted(layers), trust_remote_code=True)
    first.save_pretrained(tmp_path / "saved")
    second = AutoModelForPreTraining.from_pretrained(tmp_path / "saved", trust_remote_code=True)
    states = first.state_dict(), second.state_dict(), initial_model(architecture(layers)).state_dict()
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in states[0].items())
    with torch.no_grad():
        results = [model(**batch).prediction_logits for model in (first, second)]
    assert torch.equal(*results)


def test_a_saved_copy_is_a_compiled_model_too(emitted: Emitted, tmp_path: Path) -> None:
    """Code and all: saved, loaded, saved again with the first ones gone."""
    folder = emitted("mixed")
    for number in range(2):
        model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
        folder = tmp_path / f"saved-{number}"
        model.save_pretrained(folder)
        assert (folder / "modeling_autobertc.py").exists() and (folder / "functional.py").exists()
    AutoModel.from_pretrained(folder, trust_remote_code=True)


def test_folders_of_one_name_are_different_models(tmp_path: Path) -> None:
    """The library names a module after the folder and the hash of its files."""
    one = emit(architecture("att: Q @ (K.T @ V)\n"), tmp_path / "a" / "out")
    other = emit(architecture("att: K @ (Q.T @ V)\n"), tmp_path / "b" / "out")
    first, second = (AutoModel.from_pretrained(folder, trust_remote_code=True) for folder in (one, other))
    assert type(first) is not type(second)
    programs = [model.encoder.layer[0].attention.self.program.function for model in (first, second)]
    assert programs[0].__doc__ != programs[1].__doc__
    configs = [AutoConfig.from_pretrained(folder, trust_remote_code=True) for folder in (one, other)]
    assert type(configs[0]) is not type(configs[1])
    assert configs[0].genome_hash != configs[1].genome_hash


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


TEXT = "\n".join(f"Line {number} of a text, of words and {number * 7919} numbers." for number in range(400))


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    """Whatever the folder is called and the process has done before; hashes of strings differ by process."""
    source = HEADER + LAYERS["mixed"]
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "genome.abz").write_text(source, encoding="utf-8")
    here = check(parse_tree(Source.load(tmp_path / "genome.abz"))).architecture
    torch.randn(3)
    first = _bytes(emit(here, tmp_path / "first", source=source, tokenizer=tmp_path / "text.txt"))
    command = [sys.executable, "-m", "autobertc", "compile", "genome.abz", "-o", "second", "--tokenizer", "text.txt"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path, env=environment, capture_output=True)
    second = _bytes(tmp_path / "second")
    assert first.keys() == second.keys() and [name for name in first if first[name] != second[name]] == []
    assert "tokenizer.json" in first
    third = _bytes(emit(here, tmp_path / "third", source=source))
    assert [name for name in third if third[name] != first[name]] == []


def test_seeds(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    one, other = (emit(architecture("bert"), tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()
    assert torch.equal(torch.random.get_rng_state(), before), "torch's own generator moved"


def test_given_weights(tmp_path: Path) -> None:
    model = initial_model(architecture("bert"), seed=5, head="masked-lm")
    folder = emit(architecture("bert"), tmp_path / "out", model=model)
    loaded = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), loaded.parameters(), strict=True))
    assert "given ones" in (folder / "README.md").read_text(encoding="utf-8")


NAMES = ["a b", 'quo"te', "new\nline", '"""\nimport os\n"""', "\\", "{{ 7*7 }}", "{}", "ünïcode", "x" * 300, "", "-.-"]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names(name: str, tmp_path: Path) -> None:
    layers = architecture("mixed").layers
    sizes = Sizes(hidden=32, heads=2, intermediate=64, vocab=200, max_length=64)
    folder = emit(Architecture(name, sizes, layers), tmp_path / "out")
    digest = architecture("mixed").digest()
    for path in folder.glob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(part, ast.Import) and part.names[0].name == "os" for part in module.body)
    again = check(parse_tree(Source.load(folder / "genome.abz"))).architecture
    assert again.digest() == digest
    assert AutoConfig.from_pretrained(folder, trust_remote_code=True).genome_hash == digest


@pytest.mark.parametrize("layers", [*LAYERS, "att: softmax(Q @ K.T) @ V\n", "att: relu(Q) @ (K.T @ K)\n"])
def test_emitted_source_is_clean(layers: str, tmp_path: Path) -> None:
    """Nothing imported and not used, nothing used and not defined; lines of at most 120."""
    folder = emit(architecture(layers), tmp_path / "out")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,W,B"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    text = (folder / "modeling_autobertc.py").read_text(encoding="utf-8")
    assert "\n\n\n\n" not in text and text.endswith("pass\n") and not text.endswith("\n\n")


def test_the_genome_goes_along(emitted: Emitted) -> None:
    folder = emitted("mixed")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "autobertc" and config["auto_map"].keys() == {"AutoConfig", *AUTO_CLASSES}
    for text in (config["genome"], (folder / "genome.abz").read_text(encoding="utf-8")):
        read = check(parse_tree(Source("genome", text))).architecture
        assert read.digest() == config["genome_hash"] == architecture("mixed").digest()


def test_unknown_backend(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no backend 'nonsense'; choose one of auto, eager"):
        emit(architecture("bert"), tmp_path / "out", backend="nonsense")
    assert list(tmp_path.iterdir()) == []


def test_too_large(tmp_path: Path) -> None:
    header = "model huge { hidden: 65536 heads: 1024 vocab: 10000000 }\n"
    with pytest.raises(OutputError, match=r"are (free|available)"):
        emit(architecture("bert", header), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what models must do


def test_hidden_states_and_attention_maps(emitted: Emitted, batch: Batch) -> None:
    model = AutoModel.from_pretrained(emitted("mixed"), trust_remote_code=True)
    with torch.no_grad():
        output = model(**batch, output_hidden_states=True, output_attentions=True)
        plain = model(**batch)
    real = batch["attention_mask"].bool()
    assert len(output.hidden_states) == 6 and len(output.attentions) == 2
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert (output.last_hidden_state - plain.last_hidden_state)[real].abs().max() < 1e-5
    for weights in output.attentions:
        assert weights.shape == (3, 2, 12, 12)
        torch.testing.assert_close(weights.sum(-1)[real[:, None].expand(-1, 2, -1)], torch.ones(2 * int(real.sum())))
        assert (weights * ~real[:, None, None, :]).abs().max() == 0


@pytest.mark.parametrize("layers", ["linear", "convolutions"])
def test_no_attention_maps(layers: str, emitted: Emitted, batch: Batch) -> None:
    model = AutoModelForMaskedLM.from_pretrained(emitted(layers), trust_remote_code=True)
    assert len(model(**batch, output_hidden_states=True).hidden_states) == 3
    with pytest.raises(ValueError, match="no layer of this model has an attention map"):
        model(**batch, output_attentions=True)


@pytest.mark.parametrize("layers", ["mixed", "convolutions"])
def test_gradient_checkpointing(layers: str, emitted: Emitted, batch: Batch) -> None:
    labels = batch["input_ids"]
    gradients = []
    for checkpointing in (False, True):
        model = AutoModelForMaskedLM.from_pretrained(emitted(layers), trust_remote_code=True).train()
        if checkpointing:
            name = "activation_checkpointing_enable"
            enable = getattr(model, name) if hasattr(model, name) else model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
            assert all(layer.gradient_checkpointing for layer in model.base_model.encoder.layer)
        torch.manual_seed(0)
        model(**batch, labels=labels).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        if gradient is not None:
            torch.testing.assert_close(gradients[1][name], gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_resizing_keeps_ties(emitted: Emitted, batch: Batch, tmp_path: Path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(emitted("mixed"), trust_remote_code=True)
    with torch.no_grad():
        before = model(**batch).logits
        model.resize_token_embeddings(211, mean_resizing=False)
        after = model(**batch).logits
    assert after.shape[-1] == model.config.vocab_size == 211
    torch.testing.assert_close(after[..., :200], before)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.cls.predictions.bias is model.cls.predictions.decoder.bias
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path, trust_remote_code=True)
    assert torch.equal(again(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layers", ["mixed", "convolutions"])
def test_half_precision(layers: str, dtype: torch.dtype, emitted: Emitted, batch: Batch) -> None:
    folder = emitted(layers)
    model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True, dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    with torch.no_grad():
        logits = model(**batch).logits
        expected = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)(**batch).logits
    real = batch["attention_mask"].bool()
    assert logits.dtype == dtype and logits.isfinite().all()
    assert (logits.float() - expected)[real].abs().max() < 0.05 * expected.abs().max()


def test_embedding_width(tmp_path: Path, batch: Batch) -> None:
    header = HEADER.replace("hidden: 32", "hidden: 32 embedding: 8")
    model = AutoModelForPreTraining.from_pretrained(
        emit(architecture("mixed", header), tmp_path / "out"), trust_remote_code=True
    )
    assert model.get_input_embeddings().weight.shape == (200, 8)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    output = model(**batch)
    assert output.prediction_logits.shape == (3, 12, 200) and output.prediction_logits.isfinite().all()
    assert model.bert.embeddings_project.weight.shape == (32, 8)


def test_trainer(emitted: Emitted, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    model = AutoModelForMaskedLM.from_pretrained(emitted("mixed"), trust_remote_code=True)
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 20, (12,), generator=generator) for _ in range(32)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=12,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=5e-3,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=[{"input_ids": row, "labels": row} for row in rows])
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 12 and all(torch.isfinite(torch.tensor(losses)))
    assert losses[0] == pytest.approx(torch.log(torch.tensor(200.0)).item(), rel=0.1)
    assert losses[-1] < losses[0] - 0.5
    trainer.save_model(str(tmp_path / "trained"))
    AutoModelForMaskedLM.from_pretrained(tmp_path / "trained", trust_remote_code=True)


def test_fill_mask(tmp_path: Path) -> None:
    from transformers import pipeline

    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    folder = emit(architecture("mixed"), tmp_path / "out", tokenizer=tmp_path / "text.txt")
    fill = pipeline("fill-mask", model=str(folder), tokenizer=str(folder), trust_remote_code=True, device="cpu")
    found = fill("Line 3 of a [MASK].", top_k=3)
    assert len(found) == 3 and all(0 <= guess["score"] <= 1 for guess in found)
    assert all(len(guesses) == 5 for guesses in fill(["a [MASK]", "words and [MASK] of a text"]))
    assert transformers.AutoTokenizer.from_pretrained(folder).mask_token == "[MASK]"


@pytest.mark.slow
def test_whole_graph_compilation(emitted: Emitted, batch: Batch) -> None:
    model = AutoModelForMaskedLM.from_pretrained(emitted("mixed"), trust_remote_code=True)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    real = batch["attention_mask"].bool()
    results = []
    for function in (model, compiled):
        model.zero_grad()
        output = function(**batch, labels=batch["input_ids"])
        output.loss.backward()
        results.append((output.logits.detach()[real], [weight.grad for weight in model.parameters()]))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)
    for first, second in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_export(emitted: Emitted, batch: Batch) -> None:
    model = AutoModelForMaskedLM.from_pretrained(emitted("mixed"), trust_remote_code=True)
    exported = torch.export.export(model, (), dict(batch))
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        torch.testing.assert_close(
            exported.module()(**batch).logits[real], model(**batch).logits[real], rtol=1e-4, atol=1e-5
        )
