"""The kernels of programs compiled for GPUs that are not there; of the examples, beside the golden file."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from aot import (
    DTYPE,
    compile_examples,
    compile_random,
    compile_variants,
    example_programs,
    random_programs,
    read_golden,
    write_golden,
)
from tiny import architecture

from autobertc.compiler.fusion.fused_text import fuse
from autobertc.dsl.checker import check_expression
from autobertc.dsl.errors import UserError
from autobertc.runtime import ahead_of_time
from autobertc.runtime.ahead_of_time import KernelSpec, Resources, compile_best, failure
from autobertc.runtime.resource_reports import compare, missing_golden, updated_golden
from autobertc.runtime.targets import (
    compile_architecture,
    convolution_specifications,
    launch_variants,
    launched_stages,
    specifications,
)

BERT = "softmax(scale(Q @ K.T)) @ V"
LINEAR = "(Q @ K.T) @ V"


# ---------------------------------------------------------------- which candidate


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compiles nothing: a candidate's stack is its number of warps, and one of one stage fails. What was asked for."""
    names: list[str] = []

    @contextmanager
    def start(log: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(poll=lambda: None)

    def ask(process: object, log: object, spec: KernelSpec, target: str) -> Resources:
        names.append(f"{spec.name} {spec.num_warps}")
        if spec.num_stages == 1:
            return failure(spec, target, f"error of {spec.num_warps}")
        return Resources(spec.name, target, spec.num_warps, spec.num_stages, registers=32, stack=spec.num_warps)

    monkeypatch.setattr(ahead_of_time, "_start", start)
    monkeypatch.setattr(ahead_of_time, "_ask", ask)
    return names


def _candidates(name: str, *warps: int, failing: Sequence[int] = ()) -> list[KernelSpec]:
    return [KernelSpec(name, Path(), name, {}, {}, one, 1 if one in failing else 2) for one in warps]


def test_the_first_candidate_without_a_stack_or_else_the_least(asked: list[str]) -> None:
    kernels = [
        _candidates("none", 8, 0, 4),
        _candidates("least", 16, 8, 24),
        _candidates("fails", 1, 2, failing=[1, 2]),
        _candidates("works", 1, 9, failing=[1]),
    ]
    found = {one.kernel: one for one in compile_best(kernels, "sm_90", processes=1)}
    assert list(found) == ["none", "least", "fails", "works"]
    assert [one.stack for one in found.values()] == [0, 8, 0, 9]
    assert [one.error for one in found.values()] == [None, None, "error of 1", None]
    assert asked[:5] == ["none 8", "none 0", "least 16", "least 8", "least 24"]
    assert asked[5:] == ["fails 1", "fails 2", "works 1", "works 9"]


def test_what_cannot_be_compiled_for(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"unknown target sm_70: choose from sm_80, sm_90, sm_100, gfx942"):
        compile_architecture(architecture("att: Q\n"), ["sm_90", "sm_70"])
    with pytest.raises(UserError, match="unknown target sm_70"):
        compile_best([], "sm_70")
    assert compile_architecture(architecture("att: Q\n"), []) == []
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(UserError, match=r"needs Triton \(pip install triton"):
        compile_architecture(architecture("att: Q\n"), ["sm_90"])
    assert asked == []


# ---------------------------------------------------------------- what is compiled


def test_the_kernels_of_an_architecture(asked: list[str]) -> None:
    layers = f"att: {BERT}\nconv: 5\nconv: 65\natt: {LINEAR}\natt: {BERT}\n"
    found = compile_architecture(architecture(layers), ["sm_90", "gfx942"])
    names = list(dict.fromkeys(one.kernel for one in found))
    assert [(one.kernel, one.target) for one in found] == [(name, to) for name in names for to in ("sm_90", "gfx942")]
    assert [name for name in names if name.startswith("attention_1")] == [
        "attention_1_forward_1_stream",
        "attention_1_backward_1_rows",
        "attention_1_backward_2_stream",
        "attention_1_backward_3_stream",
    ]
    assert any(name.startswith("attention_2_") for name in names)
    assert not any(name.startswith("attention_3_") for name in names)
    convolutions = [f"{kernel}_{width}" for width in (5, 65) for kernel in ("convolution", "gates_gradient")]
    assert {*convolutions, "kernel_gradient_5", "kernel_gradient_65", "add_pieces"} <= {*names}
    assert "join_statistics" not in names


def test_candidates_fit_the_target() -> None:
    with launched_stages([fuse(check_expression(BERT), "bert")], "bert") as stages:
        large, small = (specifications(stages, target, DTYPE, 128) for target in ("sm_90", "gfx942"))
        narrow = specifications(stages, "sm_90", "float16", 20)
    assert large.keys() == small.keys() and all(large.values()) and all(small.values())
    name = "bert_backward_2_stream"
    assert len(small[name]) < len(large[name])
    assert all(spec in large[name] for spec in small[name])
    spec = large[name][0]
    assert spec.signature["Q"] == "*bf16" and spec.signature["Q_n"] == spec.signature["N"] == "i32"
    assert spec.constexprs["D"] == spec.constexprs["BLOCK_D"] == 128
    assert "Q_n" in (spec.divisible or ()) and "N" not in (spec.divisible or ())
    spec = narrow[name][0]
    assert spec.constexprs["D"] == 20 and spec.constexprs["BLOCK_D"] == 32
    assert "Q_n" not in (spec.divisible or ()) and "Q" in (spec.divisible or ())


def test_candidates_of_convolutions() -> None:
    found = convolution_specifications([3, 65], "float16", 64)
    assert [name for name in found if name.endswith("_65")] == [
        "convolution_65",
        "gates_gradient_65",
        "kernel_gradient_65",
    ]
    for name, specs in found.items():
        assert {spec.name for spec in specs} == {name}
        assert len({(str(spec.constexprs), spec.num_warps, spec.num_stages) for spec in specs}) == len(specs)
    assert len(found["convolution_3"]) > len(found["convolution_65"]) > 0


def test_other_launches() -> None:
    spec = KernelSpec(
        "k_forward_1",
        Path(),
        "k_forward_1",
        {"Q": "*bf16", "kept_1": "*fp32", "mask": "*u8", "H": "i32", "N": "i32", "dropout_p": "fp32"},
        {"D": 64, "FULL": False, "DROPOUT": False, "seed": None},
    )
    one, whole, dropout, inference = launch_variants(spec, ["kept_1"])
    assert one.name == "k_forward_1_one_token" and one.function == "k_forward_1"
    assert "N" not in one.signature and one.constexprs["N"] == one.constexprs["H"] == 1
    assert whole.constexprs["mask"] is None and whole.constexprs["FULL"] and "mask" not in whole.signature
    assert dropout.signature["seed"] == "*i64" and dropout.constexprs["DROPOUT"] and "seed" not in dropout.constexprs
    assert inference.constexprs["kept_1"] is None and "kept_1" not in inference.signature
    backward = replace(spec, function="k_backward_1", constexprs={"FULL": False})
    assert [one.name for one in launch_variants(backward)] == ["k_forward_1_one_token", "k_forward_1_whole"]


def test_programs_to_compile() -> None:
    programs = random_programs(20)
    assert len({program.root for program in programs.values()}) == 20
    assert list(programs)[::19] == ["random_1", "random_20"]
    assert [one.key for one in programs.values()] == [one.key for one in random_programs(20).values()]
    examples = example_programs()[64]
    assert "bert_base_1" in examples and "bert_large_1" not in examples


# ---------------------------------------------------------------- compiled


@pytest.mark.slow
def test_all_examples_for_sm_90() -> None:
    found = compile_examples("sm_90")
    assert [f"{one.kernel}: {one.error}" for one in found if one.error is not None] == []
    golden = read_golden()
    if os.environ.get("UPDATE_GOLDEN"):
        write_golden(updated_golden(found, golden))
        return
    if missing := missing_golden(golden):
        pytest.skip(missing)
    assert compare(found, golden) == []


@pytest.mark.slow
def test_other_launches_compile() -> None:
    programs = {"bert": check_expression(BERT), "linear": check_expression(LINEAR)}
    found = compile_variants(programs, "sm_90")
    for kind in ("one_token", "whole", "dropout", "inference"):
        assert any(one.kernel.endswith(f"_{kind}") for one in found)
    assert [f"{one.kernel}: {one.error}" for one in found if one.error is not None] == []


@pytest.mark.slow
def test_random_programs_compile() -> None:
    (found,) = compile_random(random_programs(3))
    assert found and [f"{one.kernel}: {one.error}" for one in found if one.error is not None] == []
