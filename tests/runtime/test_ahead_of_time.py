"""Kernels compiled for GPUs that are not there."""

import importlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from autobertc.dsl.errors import UserError
from autobertc.runtime import ahead_of_time
from autobertc.runtime.ahead_of_time import (
    TARGETS,
    KernelSpec,
    Resources,
    compile_kernel,
    compile_kernels,
    triton_version,
)
from autobertc.runtime.resource_reports import compare, missing_golden, print_table, updated_golden

KERNELS = """\
import triton
import triton.language as tl


@triton.jit
def attention_forward(
    q, k, v, mask, out, log_sum_exp, scale, n, D: tl.constexpr, ROWS: tl.constexpr = 64, COLUMNS: tl.constexpr = 64
):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    width = tl.arange(0, D)
    base = tl.program_id(1) * n * D
    owned = base + rows[:, None] * D + width[None, :]
    query = tl.load(q + owned, mask=rows[:, None] < n, other=0.0)
    largest = tl.full([ROWS], -1e30, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sums = tl.zeros([ROWS, D], tl.float32)
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        streamed = base + columns[:, None] * D + width[None, :]
        key = tl.load(k + streamed, mask=columns[:, None] < n, other=0.0)
        value = tl.load(v + streamed, mask=columns[:, None] < n, other=0.0)
        scores = tl.dot(query, tl.trans(key)) * scale
        if mask is not None:
            scores += tl.load(mask + columns, mask=columns < n, other=-1e30)[None, :]
        scores = tl.where(columns[None, :] < n, scores, -1e30)
        new = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - new[:, None])
        shrink = tl.exp2(largest - new)
        total = total * shrink + tl.sum(weights, 1)
        sums = tl.dot(weights.to(value.dtype), value, sums * shrink[:, None])
        largest = new
    tl.store(out + owned, (sums / total[:, None]).to(out.dtype.element_ty), mask=rows[:, None] < n)
    tl.store(log_sum_exp + tl.program_id(1) * n + rows, largest + tl.log2(total), mask=rows < n)


@triton.jit
def attention_backward_keys(
    q, k, v, grad, log_sum_exp, delta, dk, dv, scale, n, D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    width = tl.arange(0, D)
    base = tl.program_id(1) * n * D
    owned = base + columns[:, None] * D + width[None, :]
    key = tl.load(k + owned, mask=columns[:, None] < n, other=0.0)
    value = tl.load(v + owned, mask=columns[:, None] < n, other=0.0)
    key_sums = tl.zeros([COLUMNS, D], tl.float32)
    value_sums = tl.zeros([COLUMNS, D], tl.float32)
    for start in range(0, n, ROWS):
        rows = start + tl.arange(0, ROWS)
        streamed = base + rows[:, None] * D + width[None, :]
        query = tl.load(q + streamed, mask=rows[:, None] < n, other=0.0)
        out_grad = tl.load(grad + streamed, mask=rows[:, None] < n, other=0.0)
        statistic = tl.load(log_sum_exp + tl.program_id(1) * n + rows, mask=rows < n, other=1e30)
        row_delta = tl.load(delta + tl.program_id(1) * n + rows, mask=rows < n, other=0.0)
        weights = tl.exp2(tl.dot(key, tl.trans(query)) * scale - statistic[None, :])
        value_sums = tl.dot(weights.to(query.dtype), out_grad, value_sums)
        score_grad = weights * (tl.dot(value, tl.trans(out_grad)) - row_delta[None, :])
        key_sums = tl.dot(score_grad.to(query.dtype), query, key_sums)
    tl.store(dk + owned, (key_sums * scale).to(dk.dtype.element_ty), mask=columns[:, None] < n)
    tl.store(dv + owned, value_sums.to(dv.dtype.element_ty), mask=columns[:, None] < n)


@triton.jit
def copy(x, y, n, TILE: tl.constexpr):
    tl.static_assert(TILE < 1024, "tiles are small")
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y + place, tl.load(x + place, mask=place < n), mask=place < n)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kernels") / "kernels.py"
    path.write_text(KERNELS, encoding="utf-8")
    return path


def _forward(source: Path, columns: int = 64, num_stages: int = 2, D: int = 64) -> KernelSpec:
    signature = dict.fromkeys(("q", "k", "v", "out"), "*bf16")
    signature |= {"log_sum_exp": "*fp32", "scale": "fp32", "n": "i32", "D": "constexpr"}
    constexprs = {"mask": None, "D": D, "COLUMNS": columns}
    return KernelSpec("forward", source, "attention_forward", signature, constexprs, num_stages=num_stages)


def _backward(source: Path, columns: int, num_warps: int) -> KernelSpec:
    signature = dict.fromkeys(("q", "k", "v", "grad", "dk", "dv"), "*bf16")
    signature |= {"log_sum_exp": "*fp32", "delta": "*fp32", "scale": "fp32", "n": "i32"}
    constexprs = {"D": 64, "ROWS": 64, "COLUMNS": columns}
    name = f"backward {columns}/{num_warps}"
    return KernelSpec(name, source, "attention_backward_keys", signature, constexprs, num_warps)


def _copy(source: Path, tile: int = 64, name: str = "copy") -> KernelSpec:
    return KernelSpec(name, source, "copy", {"x": "*fp32", "y": "*fp32", "n": "i32"}, {"TILE": tile}, num_warps=1)


MATMULS = {"sm_80": "mma.sync", "sm_90": "wgmma.mma_async", "sm_100": "tcgen05.mma", "gfx942": "v_mfma"}


@pytest.mark.parametrize("target", TARGETS)
def test_attention_compiles_for(target: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process interprets; those that compile do not."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    forward, backward = compile_kernels([_forward(source), _backward(source, 64, 4)], [target])
    assert [(one.kernel, one.target) for one in (forward, backward)] == [("forward", target), ("backward 64/4", target)]
    for one in (forward, backward):
        assert one.error is None
        assert 64 < one.registers <= (512 if target == "gfx942" else 255)
        assert one.stack == 0
        assert 16 * 1024 < one.shared <= TARGETS[target].shared
        assert list(one.matmul_instructions) == [MATMULS[target]]
        assert (one.num_warps, one.num_stages) == (4, 2)
    # Two products a tile forward, four backward.
    instructions = [one.matmul_instructions[MATMULS[target]] for one in (forward, backward)]
    assert instructions[1] == 2 * instructions[0]


def test_small_tiles_do_not_spill_and_large_ones_do(source: Path) -> None:
    more_warps, spilling = compile_kernels([_backward(source, 128, 8), _backward(source, 128, 4)], ["sm_90"])
    assert (more_warps.stack, more_warps.spills, more_warps.error) == (0, 0, None)
    assert spilling.stack > 256 and spilling.spills == spilling.stack // 4 and spilling.registers == 255
    assert spilling.error is None


def test_shared_memory_is_limited(source: Path) -> None:
    """A launch would say so first; the numbers are there all the same."""
    one = compile_kernel(_forward(source, columns=128, num_stages=5, D=128), "sm_80")
    assert one.shared > TARGETS["sm_80"].shared == 166_912
    assert one.error == f"needs {one.shared} bytes of shared memory, the device has 166912"
    assert one.registers > 0


def test_without_cuobjdump_the_assembler_is_asked(source: Path) -> None:
    hiding = source.with_name("hiding.py")
    hiding.write_text("import shutil\nshutil.which = lambda *_, **__: None\n" + KERNELS, encoding="utf-8")
    expected = compile_kernel(_backward(source, 128, 4), "sm_90")
    found = compile_kernel(_backward(hiding, 128, 4), "sm_90")
    assert abs(found.registers - expected.registers) <= 8
    # A newer Triton passes its assembler switches that differ a little.
    assert found.stack > 256 and found.shared == expected.shared


def test_failures_are_recorded_and_the_others_go_on(source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = source.with_name("failing")
    folder.mkdir()
    texts = {
        "dies": "import os\nprint('LLVM ERROR: nothing to be done', file=__import__('sys').stderr)\nos.abort()\n",
        "exits": "raise SystemExit(3)\n",
        "syntax": "def copy(:\n",
        "prints": "print('hello')\nfrom .prints_less import *\n",
        "prints_less": KERNELS,
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    specs = [_copy(folder / f"{name}.py", name=name) for name in ("dies", "exits", "syntax", "absent", "prints")]
    good = _copy(source)
    specs += [
        _copy(source, 2048, "asserts"),
        replace(good, name="unknown", signature={**good.signature, "z": "i32"}),
        replace(good, name="untyped", signature={"x": "*fp32"}),
        replace(good, name="missing", function="paste"),
        replace(good, name="lambda", constexprs={"TILE": lambda: 64}),
        good,
    ]
    found = {one.kernel: one for one in compile_kernels(specs, ["sm_90"], processes=2)}
    errors = {name: one.error or "" for name, one in found.items()}
    assert errors["dies"].splitlines() == ["the compiler died: SIGABRT", "LLVM ERROR: nothing to be done"]
    assert errors["exits"] == "the compiler died: exit status 3"
    assert "invalid syntax" in errors["syntax"] and "No such file" in errors["absent"]
    assert "CompileTimeAssertionFailure: at 2:4:" in errors["asserts"] and "tiles are small" in errors["asserts"]
    assert errors["unknown"] == "TypeError: copy has no argument z"
    assert errors["untyped"] == "TypeError: argument y of copy has neither a type nor a value"
    assert "no attribute 'paste'" in errors["missing"]
    assert errors["lambda"].startswith("the arguments cannot be passed on: ")
    assert {name for name, error in errors.items() if not error} == {"prints", "copy"}
    assert found["copy"].registers == found["prints"].registers > 0 and not found["copy"].matmul_instructions
    assert not found["dies"].registers and not found["asserts"].registers
    assert capfd.readouterr() == ("", "")


def test_a_kernel_that_takes_too_long(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_of_time, "SECONDS_PER_KERNEL", 0.5)
    sleeping = source.with_name("sleeping.py")
    sleeping.write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    assert compile_kernel(_copy(sleeping), "sm_90").error == "the compiler died: SIGKILL"


@pytest.mark.parametrize("interpret", ["0", "1"])
def test_the_spec_of_a_function(interpret: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", interpret)
    monkeypatch.syspath_prepend(str(source.parent))
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    kernels = importlib.import_module("kernels")
    monkeypatch.delitem(sys.modules, "kernels")
    fields = {"constexprs": {"TILE": 64}, "num_warps": 1}
    assert KernelSpec.of(kernels.copy, {"x": "*fp32", "y": "*fp32", "n": "i32"}, **fields) == _copy(source)
    place: dict[str, Callable[[], None]] = {}
    exec("def nowhere(): pass", place)
    with pytest.raises(ValueError, match=r"nowhere was defined in <string>, which is no file"):
        KernelSpec.of(place["nowhere"], {})


def test_hints_are_what_is_said(source: Path) -> None:
    """Where `n` is a multiple of 16, a load under `place < n` is of several values, with fewer addresses."""
    plain, hinted = _copy(source, 512), replace(_copy(source, 512, "hinted"), divisible=("x", "y", "n"))
    one, other = compile_kernels([plain, hinted], ["sm_90"])
    assert one.error is other.error is None
    assert other.registers < one.registers


def test_what_cannot_be_asked(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"unknown target sm_91: choose from sm_80, sm_90, sm_100, gfx942"):
        compile_kernel(_copy(source), "sm_91")
    with pytest.raises(ValueError, match="same name"):
        compile_kernels([_copy(source), _copy(source, 128)], ["sm_90"])
    assert compile_kernels([], ["sm_90"]) == compile_kernels([_copy(source)], []) == []
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(UserError, match=r"needs Triton \(pip install triton"):
        compile_kernel(_copy(source), "sm_90")


ONE = Resources("copy [64]", "sm_90", 4, 2, registers=40, stack=0, shared=2048, matmul_instructions={"mma.sync": 8})


def test_the_table_and_json() -> None:
    failed = Resources("[red]", "gfx942", 8, 3, error="line [one]\nline two")
    text = io.StringIO()
    print_table([ONE, failed], Console(file=text, width=100))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert lines == [
        ["kernel", "target", "registers", "stack", "shared", "warps", "stages", "matmuls"],
        ["copy", "[64]", "sm_90", "40", "0", "2,048", "4", "2", "8", "mma.sync"],
        ["[red]", "gfx942", "-", "-", "-", "8", "3", "-"],
        ["[red],", "gfx942:", "line", "[one]"],
        ["line", "two"],
    ]
    assert Resources(**json.loads(json.dumps(ONE.as_dict()))) == ONE


def test_golden_numbers() -> None:
    other = replace(ONE, kernel="other", target="sm_80")
    golden = updated_golden([ONE, other], {"0.1": {}})
    numbers = {"registers": 40, "stack": 0, "shared": 2048}
    assert golden == {"0.1": {}, triton_version(): {"sm_90": {"copy [64]": numbers}, "sm_80": {"other": numbers}}}
    assert missing_golden(golden) is None
    assert compare([ONE, other], golden) == compare([ONE], golden) == compare([], golden) == []
    assert compare([replace(ONE, registers=48)], golden) == compare([replace(ONE, registers=32)], golden) == []
    assert compare([replace(ONE, registers=49, stack=8, shared=2047)], golden) == [
        "copy [64], sm_90: registers 49, was 40",
        "copy [64], sm_90: stack 8, was 0",
        "copy [64], sm_90: shared 2047, was 2048",
    ]
    assert compare([replace(ONE, error="too large")], golden) == ["copy [64], sm_90: too large"]
    assert compare([replace(ONE, kernel="new")], golden) == [
        "new, sm_90: not in the golden file",
        "copy [64], sm_90: in the golden file, but not compiled",
    ]
    renamed = updated_golden([replace(ONE, kernel="new"), replace(ONE, error="too large")], golden)
    assert renamed[triton_version()] == {"sm_90": {"new": numbers}, "sm_80": {"other": numbers}}


def test_golden_numbers_of_another_triton() -> None:
    golden = {"0.1": {"sm_90": {"copy": {"registers": 40, "stack": 0, "shared": 2048}}}}
    message = f"no golden numbers of Triton {triton_version()}, only of 0.1: nothing compared"
    assert missing_golden(golden) == message
    assert compare([ONE], golden) == []
    assert (missing_golden({}) or "").endswith("only of none: nothing compared")
