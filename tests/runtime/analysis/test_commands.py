"""analyze and correlate: the folders they make, models side by side, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import autobertc

from autobertc.runtime.analysis import latency
from autobertc.runtime.analysis.memory import peak_here

SMALL = ("--data", "default:manual", "--pairs", "20", "--length", "32", "--batch", "2")


def test_all_parts_of_two_models(model: str, bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "peak", peak_here)  # a fresh process takes seconds
    out = tmp_path / "out"
    shown = autobertc("analyze", model, bert, "-o", out, *SMALL, "--sentence", "A class. ||| An object.").stdout
    for title in ("parameters", "FLOPs", "mean cosine", "peak memory", "ratio", "distance of attention", "influence"):
        assert title in shown
    figures = {f"{name}.{suffix}" for name in ("uniformity", "receptive", "attention") for suffix in ("png", "svg")}
    each = {
        f"{name}-{label}.{suffix}"
        for name in ("attention", "sentence-1")
        for label in ("tiny", "bert")
        for suffix in ("json", "png", "svg")
    }
    assert {path.name for path in out.iterdir()} == {"analysis.json", *figures, *each}
    ours, theirs = json.loads((out / "analysis.json").read_text())
    assert (
        ours["flops"]["length"] == 32 and ours["latency"]["batch"] == 2 and set(ours["receptive"]["kernels"]) == {"1"}
    )
    assert ours["attention"]["layers"] == [2] and theirs["attention"]["layers"] == [1, 2]
    assert theirs["flops"] is None and theirs["latency"] is None
    tokens = json.loads((out / "sentence-1-tiny.json").read_text())["tokens"]
    assert tokens.count("[SEP]") == 2


def test_one_part_of_the_same_model_twice(model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    autobertc("analyze", model, model, "-o", out, *SMALL, "--part", "uniformity")
    assert {path.name for path in out.iterdir()} == {"analysis.json", "uniformity.png", "uniformity.svg"}
    first, second = json.loads((out / "analysis.json").read_text())
    assert first == second and first["latency"] is None
    assert "is there already" in autobertc("analyze", model, "-o", out, expect=1).stderr


def test_refusals(model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "did you mean `maps`" in autobertc("analyze", model, "-o", out, "--part", "map", expect=1).stderr
    assert "two with |||" in autobertc("analyze", model, "-o", out, "--sentence", "A |||", expect=1).stderr
    options = ("--part", "latency")
    assert "cannot load the model" in autobertc("analyze", "no/such", "-o", out, *options, expect=1).stderr
    assert not out.exists()


def test_correlate(tmp_path: Path) -> None:
    (tmp_path / "early.csv").write_text("model,rte,mrpc\na,1,3\nb,2,2\nc,3,1\n")
    (tmp_path / "late.json").write_text(json.dumps({name: {"rte": n, "mrpc": n} for n, name in enumerate("abc")}))
    arguments = (tmp_path / "early.csv", tmp_path / "late.json", "-o", tmp_path / "out")
    shown = autobertc("correlate", *arguments).stdout
    assert "1.000" in shown and "-1.000" in shown and "mean" in shown
    assert "is there already" in autobertc("correlate", *arguments, expect=1).stderr
