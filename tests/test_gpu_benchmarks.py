"""The GPU benchmark runs where there is no GPU: values agree, results have their shape. Nothing about seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MODULES = (
    "gpu_cases",
    "gpu_measure",
    "gpu_programs",
    "gpu_work",
    "gpu_models",
    "gpu_ahead",
    "gpu_targets",
    "gpu_report",
    "gpu_run",
)
COMMON = ("measure", "models", "training_step")
PROGRAMS = ("bert", "logsigmoid-of-softmax")


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The scripts as modules, found as they find each other; forgotten again."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield SimpleNamespace(**{name.removeprefix("gpu_"): import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in (*MODULES, *COMMON):
            sys.modules.pop(name, None)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TRITON_INTERPRET", None)
    script = [sys.executable, str(BENCHMARKS / "gpu.py"), *arguments]
    return subprocess.run(script, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_smoke_run(tmp_path: Path) -> None:
    done = command("--smoke", "--output", str(tmp_path), "--programs", *PROGRAMS)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("*.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {"device", "torch", "triton", "python", "commit", "dirty"} <= set(written["environment"])
    assert written["settings"]["smoke"] and not written["targets"] and not written["left_out"] and not written["notes"]
    assert set(written["programs"]) == set(PROGRAMS)
    cells = {
        (cell["subject"], cell["implementation"], cell["direction"], cell["length"], cell["width"]): cell
        for cell in written["cells"]
    }
    for name in PROGRAMS:
        for direction in ("forward", "forward + backward"):
            for implementation in ("kernels", "naive"):
                cell = cells[name, implementation, direction, 64, 16]
                assert cell["status"] == "measured" and cell["error"] <= cell["allowed"]
                assert cell["ms"] > 0 and cell["tflops"] > 0 and cell["first_call_s"] > 0
        assert cells[name, "FlexAttention", "forward", 64, 16]["status"] == "measured"
    assert cells["bert", "SDPA", "forward + backward", 64, 16]["status"] == "measured"
    assert cells["logsigmoid-of-softmax", "SDPA", "forward", 64, 16]["status"] == "none"
    assert cells["gated convolution", "kernels", "forward + backward", 64, 65]["status"] == "measured"
    model = cells["masked-LM training step", "kernels", "training step", 16, None]
    assert model["status"] == "measured" and model["error"] <= model["allowed"]
    table = file.with_suffix(".md").read_text(encoding="utf-8")
    assert "| program | N | kernels | FlexAttention |" in table and "Targets" not in table


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    done = command("--output", str(tmp_path))
    assert done.returncode == 1 and "--smoke" in done.stderr
    assert not list(tmp_path.iterdir())
    assert command("--smoke").returncode == 2
    assert command("speed").returncode == 2


def plain_flex(query, key, value, score_mod=None, scale=None, return_aux=None):
    """FlexAttention's meaning, which has a derivative on a processor."""
    scores = query @ key.mT * scale
    if score_mod is not None:
        places = torch.meshgrid(*(torch.arange(size) for size in scores.shape), indexing="ij")
        scores = score_mod(scores, *places)
    result = scores.softmax(-1) @ value
    return result if return_aux is None else (result, SimpleNamespace(lse=scores.logsumexp(-1)))


def test_rewritings_have_the_values_and_gradients_of_their_programs(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.programs, "flex_attention", plain_flex)
    scope = bench.work.SMOKE
    missing = []
    for name, subject in bench.work.all_subjects().items():
        case = bench.work.program_case(name, scope, 64, 16)
        yardstick = bench.cases.Yardstick(case, "forward + backward")
        assert all(count > 0 for count in case.flops.values())
        functions: list[Callable[..., torch.Tensor]] = [] if subject.flex is None else [subject.flex]
        if subject.attention is not None:
            functions.append(lambda *tensors, by=subject.attention: by(bench.programs.sdpa, *tensors))
        missing += [name] * (subject.flex is None)
        for function in functions:
            found = bench.cases.work_of(function, case.tensors, case.gradient, "forward + backward")()
            for value, expected in zip(found, yardstick.expected, strict=True):
                relative = (value[case.part].detach().double() - expected).norm() / expected.norm()
                assert relative < 1e-5, name
    assert missing == ["linear"]


def test_flops_of_softmax_attention_are_those_of_seven_products(bench: Any) -> None:
    flops = bench.work.all_subjects()["bert"].flops(1024, 64)
    assert flops == {"forward": 4 * 1024**2 * 64, "forward + backward": 14 * 1024**2 * 64}


def contest(bench: Any, **functions: Callable[..., torch.Tensor]) -> Any:
    contestants = tuple(bench.cases.Contestant(name, function) for name, function in functions.items())
    return replace(bench.work.program_case("bert", bench.work.SMOKE, 64, 16), contestants=contestants)


def test_what_fails_or_is_wrong_says_so_and_others_go_on(bench: Any) -> None:
    plain = bench.work.program_case("bert", bench.work.SMOKE, 64, 16).plain

    def broken(*tensors: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such kernel") from KeyError("tile")

    def full(*tensors: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("200 GiB")

    case = contest(bench, broken=broken, full=full, wrong=lambda *x: 1.5 * plain(*x), nothing=None, right=plain)
    machine, clock = bench.measure.Machine("cpu"), bench.measure.Clock(time.monotonic() + 600)
    cells = bench.measure.measure(case, "forward + backward", machine, clock, 40.0)
    assert [cell.status for cell in cells] == ["failed", "out of memory", "disagrees", "none", "measured"]
    assert "no such kernel" in cells[0].note and "tile" in cells[0].note
    assert cells[-1].ms and cells[-1].error == pytest.approx(cells[-1].allowed / 4, rel=0.5)
    limited = bench.cases.Contestant("large", plain, gib={"forward": 41.0})
    (cell,) = bench.measure.measure(replace(case, contestants=(limited,)), "forward", machine, clock, 40.0)
    assert cell.status == "too large" and "41 GiB" in cell.note
    (cell,) = bench.measure.measure(contest(bench, late=plain), "forward", machine, bench.measure.Clock(0.0), 40.0)
    assert cell.status == "left out"


def test_implementations_take_turns(bench: Any) -> None:
    calls: list[str] = []
    machine = bench.measure.Machine("cpu")
    runners = []
    for name in "ab":
        cell = bench.cases.Cell("programs", "bert", name, "forward", 64, 16)
        runners.append(bench.measure._Runner(cell, lambda name=name: calls.append(name), 1.0))
    cells = bench.measure.take_turns(runners, machine, bench.measure.Clock(time.monotonic() + 60))
    assert "".join(calls) == "abbaab"
    assert [len(cell.runs) for cell in cells] == [3, 3]


def test_the_most_important_comes_first(bench: Any) -> None:
    options = replace(options_for(bench, names=("bert", "cosine")), smoke=False)
    groups = list(bench.run.groups(options, bench.work.Scope(), bench.models.BASE))
    jobs = [str(job) for group in groups for job in group.jobs]
    assert jobs[:4] == ["bert, N 2048, D 64", "cosine, N 2048, D 64", "bert, N 8192, D 64", "cosine, N 8192, D 64"]
    assert jobs[4] == "training step, N 512" and jobs[6] == "convolution, width 3"
    assert len(jobs) == len(set(jobs)) == 2 * 6 * 2 + 2 + 7


def options_for(bench: Any, names: Sequence[str] = (), minutes: float = 8.0, output: Path = Path()) -> Any:
    return bench.run.Options(
        minutes=minutes,
        output=output,
        sections=("programs", "models", "convolutions"),
        names=tuple(names),
        jobs=2,
        limit_gib=40.0,
        commit="0123abc",
        smoke=True,
    )


def test_what_time_did_not_suffice_for_is_listed(bench: Any, tmp_path: Path) -> None:
    said: list[str] = []
    assert bench.run.run(options_for(bench, ["bert"], 0.0, tmp_path), [], said.append) == 0
    (file,) = tmp_path.glob("*.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["environment"]["commit"] == "0123abc"
    assert "bert, N 64, D 16" in written["left_out"] and len(written["left_out"]) == 4
    assert "## Left out" in said[-2]


def test_targets_compare_with_whoever_takes_part(bench: Any) -> None:
    def cell(implementation: str, ms: float, **fields: Any) -> Any:
        found = bench.cases.Cell("programs", "bert", implementation, "forward", 4096, 64, ms=ms, runs=(ms,))
        return replace(found, **fields)

    flexible = [cell("kernels", 2.0), cell("FlexAttention", 2.5), cell("torch.compile", 3.0)]
    (target,) = bench.targets.targets(flexible)
    assert target.beside == "FlexAttention" and target.met
    (target,) = bench.targets.targets([flexible[0], flexible[2]])
    assert target.beside == "torch.compile" and not target.met and target.ratio == pytest.approx(2 / 3)
    (target,) = bench.targets.targets([cell("auto", 1.0), cell("SDPA", 1.0)])
    assert target.met
    text = "\n".join([*bench.targets.target_lines([flexible[0], flexible[2]])])
    assert "kernels takes 0.67 of torch.compile's time, at most 0.5" in text
    short, long = cell("kernels", 1.0, memory_mib=10.0), cell("kernels", 1.0, memory_mib=10.0, length=8192)
    assert "| 4096 | 8192 | 1.00 |" in "\n".join(bench.targets.memory_growth([short, long]))


@pytest.mark.slow
def test_units_are_compiled_in_other_processes(bench: Any) -> None:
    units = [
        bench.ahead.Unit("programs", "bert", "naive", (64,), 16),
        bench.ahead.Unit("programs", "no such program", "naive", (64,), 16),
        bench.ahead.Unit("models", "attention_1", "kernels", (16,)),
    ]
    clock = bench.measure.Clock(time.monotonic() + 120)
    seconds = bench.ahead.compile_ahead(units, 2, clock, ["--smoke"])
    assert set(seconds["bert/naive/16"]) == {"forward 64", "forward + backward 64"}
    assert seconds["no such program/naive/16"] == {}
    assert bench.ahead.seconds_ahead(seconds, "bert/naive/16", "forward", 64) > 0
    assert bench.ahead.seconds_ahead(seconds, "bert/naive/16", "forward", 128) is None
    assert bench.ahead.seconds_ahead({"bert/kernels/64": {"forward 512": 9.0}}, "bert/kernels/64", "forward", 2048) == 9
    assert set(seconds["attention_1/kernels/0"]) == {"training step 16"}


def test_units_fit_the_memory_together(bench: Any) -> None:
    scope, models = bench.work.Scope(device="meta"), bench.models.BASE
    units = bench.ahead.program_units(["bert", "linear"], (2048, 8192), 64, scope, 40.0)
    by = {(unit.subject, unit.implementation, unit.lengths): unit for unit in units}
    assert ("linear", "FlexAttention", (2048, 8192)) not in by
    assert by["bert", "torch.compile", (8192,)].gib == pytest.approx(1 + 3 * 8)
    assert len(bench.ahead.model_units(models, (512, 128))) == 4 + 5
    large = [bench.ahead.Unit("programs", "bert", "naive", (64,), gib=gib) for gib in (40.0, 30.0, 5.0, 90.0)]
    assert [unit.gib for unit in bench.ahead._starting(large, [], 8)] == [40.0, 5.0]
    assert [unit.gib for unit in bench.ahead._starting(large[3:], [], 8)] == [90.0]
