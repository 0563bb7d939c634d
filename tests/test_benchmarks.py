"""The benchmarks run, at the smallest sizes: what they compare is equal, and tables come out. Nothing about seconds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MODULES = (
    "measure",
    "models",
    "encoder",
    "training_step",
    "training_speed",
    "compile_time",
    "memory",
    "start_up",
    "cpu",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The scripts as modules, found as they find each other; forgotten again, as their names are common words."""
    sys.path.insert(0, str(BENCHMARKS))
    threads = torch.get_num_threads()
    try:
        yield SimpleNamespace(**{name: import_module(name) for name in MODULES})
    finally:
        torch.set_num_threads(threads)
        sys.path.remove(str(BENCHMARKS))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def tiny(bench: Any) -> Any:
    return bench.measure.Settings(
        pairs=2, batch=2, length=12, hidden=32, heads=2, intermediate=32, vocabulary=50, memory_length=64
    )


def check(section: Any) -> None:
    assert section.rows
    for row in section.rows:
        assert row.ours > 0 and row.measured > 0
        assert row.low is None or row.low <= row.measured <= row.high
        met = row.target is not None and (row.measured >= row.target if row.at_least else row.measured <= row.target)
        assert row.verdict == ("" if row.target is None else ("met" if met else "not met"))


@pytest.mark.parametrize(("count", "skipped"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (15, 3), (25, 7), (100, 39)])
def test_interval_is_that_of_the_binomial_distribution(bench: Any, count: int, skipped: int) -> None:
    # Conover, Practical Nonparametric Statistics: of 15 values the 4th and the 12th, of 25 the 8th and the 18th.
    values = [float(value) for value in range(count)]
    assert bench.measure.interval(values[::-1]) == (skipped, count - 1 - skipped)


def test_pairs_alternate(bench: Any) -> None:
    calls: list[str] = []
    row = bench.measure.compare("a", lambda: calls.append("a"), "b", lambda: calls.append("b"), 3, target=1e9)
    assert "".join(calls[4:]) == "abbaab"
    assert row.verdict == "met"


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ["bert-small", "autobert-zero-small"])
def test_naive_models_compute_the_same(bench: Any, tiny: Any, name: str, padded: bool) -> None:
    architecture = bench.models.example(name)
    inputs = bench.models.batch(tiny, padded)
    ours, naive = bench.models.compiled(architecture, tiny), bench.models.naive(architecture, tiny)
    expected = ours(**inputs).last_hidden_state
    with bench.models.naive_convolution():
        found = naive(**inputs).last_hidden_state
    real = inputs.get("attention_mask", torch.ones(expected.shape[:2])).bool()
    torch.testing.assert_close(found[real], expected[real], rtol=1e-4, atol=1e-5)


def test_models_have_the_same_weights_outside_their_layers(bench: Any, tiny: Any) -> None:
    architecture = bench.models.example("bert-small")
    ours, bert = bench.models.compiled(architecture, tiny), bench.models.reference(architecture, tiny)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (ours, bert)]
    assert shapes[0] == shapes[1]
    assert bert.config._attn_implementation == "sdpa"


def test_encoder(bench: Any, tiny: Any) -> None:
    section = bench.encoder.encoder(tiny)
    check(section)
    beside = {row.beside for row in section.rows}
    assert beside == {"BertModel", "naive lowering", "itself"}


def test_training_step(bench: Any, tiny: Any) -> None:
    labels = bench.training_step.labelled_batch(tiny)["labels"]
    assert (labels != -100).sum() == 4  # 15% of 24
    check(bench.training_step.training_step(tiny))


def test_training_speed(bench: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOBERTC_CACHE", str(tmp_path))
    speed = bench.training_speed
    monkeypatch.setattr(speed, "VOCABULARIES", (300, 200))
    section = speed.training_speed(replace(tiny, vocabulary=300, pairs=1))
    check(section)
    loops = [row for row in section.rows if row.at_least]
    assert len(loops) == 2 and all(row.target == 1.5 and row.unit == "tokens/s" for row in loops)
    assert sum("waiting" in row.what for row in section.rows) == 2
    assert sum("head on masked words" in row.what for row in section.rows) == 4


def test_compile_time(bench: Any, tiny: Any) -> None:
    texts = bench.compile_time.variants("att: Q @ K.T", 49)
    assert len(set(texts)) == 49
    check(bench.compile_time.compile_time(tiny))


def test_memory(bench: Any, tiny: Any) -> None:
    programs = list(bench.memory.distinct_programs())
    library = [name for name, _, program in programs if bench.memory.is_library_attention(program)]
    assert {"bert-small", "two-softmax"} <= set(library)
    assert library.count("autobert-zero-small") == 5
    assert "distance-attention" not in library
    assert bench.memory.measure("bert-small", 1, "naive", 0.1, True, tiny) >= 0


def test_memory_of_all_programs(bench: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.memory, "measure", bench.memory.measure_here)  # fresh processes take long
    section = bench.memory.memory(tiny)
    check(section)
    assert sum(row.target is not None for row in section.rows) >= 2 * 7


def test_command(
    bench: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = bench.compile_time.compile_time
    monkeypatch.setitem(bench.cpu.SECTIONS, "compile-time", lambda settings: section(tiny))
    file = tmp_path / "numbers.json"
    bench.cpu.main(["compile-time", "--json", str(file)])
    assert "met" in capsys.readouterr().out
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["sections"][0]["rows"][0]["target"] == 150
    assert {"machine", "torch", "transformers", "commit"} <= set(written["environment"])
    with pytest.raises(SystemExit):
        bench.cpu.main(["speed"])


def test_start_up(bench: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.start_up, "BASELINE", "import json")
    section = bench.start_up.start_up(replace(tiny, pairs=1))
    check(section)
    assert [row.what for row in section.rows[:3]] == ["check", "fmt", "ops"]
