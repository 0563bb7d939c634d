"""The fidelity benchmark runs at its smallest size, and goes on where it was interrupted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    yield import_module("search_fidelity")
    torch.set_num_threads(threads)
    for name in ("search_fidelity", "fidelity_statistics"):
        sys.modules.pop(name, None)


def run(bench: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    command = "search_fidelity.py --smoke --proxy mechanistic --tasks local-completion --sharing layer/layer --output"
    monkeypatch.setattr(sys, "argv", [*command.split(), str(folder)])
    bench.main()
    report: dict[str, Any] = json.loads((folder / "fidelity.json").read_text())
    return report


def test_smoke(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(bench, tmp_path, monkeypatch)
    assert report["architectures"] == len(set(report["genomes"])) == 8 and report["steps_saved"] == 0.5
    for found in report["taus"].values():
        assert {"score", "local-completion"} <= set(found)
    assert report["hurdles"]["layer/layer"]["of"] == 8
    assert "Kendall" in (tmp_path / "fidelity.md").read_text()
    evaluations = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    assert len(evaluations) == 8 + 2 + 8 + 8
    (tmp_path / "evaluations.jsonl").write_text("\n".join(evaluations[:-3]) + '\n{"key": "cut')
    again = run(bench, tmp_path, monkeypatch)
    assert again["scores"] == report["scores"] and again["taus"] == report["taus"]


def test_tau_within_rounds(bench: Any) -> None:
    """Rounds in order each, the second's scores higher for what is worth no more: within rounds that does not count."""
    full = [{"score": float(number % 6)} for number in range(12)]
    cheap = [{"score": number % 6 + 10.0 * (number // 6)} for number in range(12)]
    statistics = import_module("fidelity_statistics")
    within = statistics.tau_within(cheap, full, [6, 6], "score", 0)
    assert [within[name] for name in ("tau", "low", "high", "count")] == [1, 1, 1, 12]
    assert statistics.tau(cheap, full, "score", 0)["tau"] < 0.6
    assert statistics.tau_within([*cheap[:2], None, None], full[:4], [2, 2], "score", 0) is None


def test_tau(bench: Any) -> None:
    statistics = import_module("fidelity_statistics")
    full = [{"score": float(n)} for n in range(12)]
    same = statistics.tau(full, full, "score", 0)
    assert [same[name] for name in ("tau", "low", "high", "count")] == pytest.approx([1, 1, 1, 12])
    other = statistics.tau([*full[::-1][:11], None], full, "score", 0)
    assert (other["tau"], other["count"]) == (pytest.approx(-1), 11)
    assert statistics.tau(full[:3], full[:3], "score", 0) is None


def test_hurdles_by_replay(bench: Any) -> None:
    statistics = import_module("fidelity_statistics")

    class Result:
        def __init__(self, rungs: tuple[float, ...]) -> None:
            self.rungs = rungs

    first = [Result((0.1 * n, 0.1 * n, 0.1 * n)) for n in range(8)]
    second = [Result((0.0, 0.0, 0.9)), Result((0.5, 0.1, 0.2)), Result((0.7, 0.7, 0.7))]
    full = [{"score": result.rungs[-1]} for result in [*first, *second]]
    found = statistics.hurdles_report((0.1, 0.25, 1.0), [8, 3], [*first, *second], full)
    assert found["stopped"] == 2 and found["of"] == 11 and found["stopped_of_the_best"] == 1
    assert found["steps_saved"] == pytest.approx(1 - (8 + 0.1 + 0.25 + 1) / 11)
