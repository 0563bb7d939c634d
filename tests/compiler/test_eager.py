"""The eager backend: library calls where they fit, and every result inside its budget."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from numerics import Report, check, compiled, eager_function, plain_function
from strategies import CUBE, MANHATTAN, Case, cases, fuzz, programs

from autobertc.compiler.eager import lower, lower_naively
from autobertc.compiler.modeling import functional
from autobertc.dsl import load
from autobertc.dsl.checker import check_expression
from autobertc.dsl.ops import registered

EXAMPLES = Path(__file__).parents[2] / "examples"
SDPA = "scaled_dot_product_attention"


def calls(text: str) -> Counter:
    return Counter(stage.call for stage in lower(check_expression(text), "f", "f").stages)


@pytest.mark.parametrize("size", ["small", "base", "large"])
def test_the_published_layers_are_one_library_call_each(size):
    architecture = load(EXAMPLES / f"autobert-zero-{size}.abz")
    for program in architecture.programs():
        lowered = lower(program, "f", "f")
        assert [stage.call for stage in lowered.stages].count(SDPA) == 1
        assert "torch.matmul" not in {stage.call for stage in lowered.stages}
        assert all(stage.type == "[N,D]" for stage in lowered.stages)


@pytest.mark.parametrize(
    ("text", "attentions", "products"),
    [
        ("softmax(scale(Q @ K.T)) @ V", 1, 0),
        ("softmax(Q @ K.T)", 1, 0),
        ("transpose(V.T @ transpose(softmax(Q @ K.T)))", 1, 0),
        ("softmax(Q @ K.T + scale(V @ P.T)) @ V", 1, 0),
        ("softmax(neg(cosine_similarity(Q, K))) @ V", 1, 0),
        ("softmax(Q @ K.T) @ softmax(V @ P.T) @ V", 2, 0),
        ("softmax(Q @ K.T) @ V + softmax(Q @ K.T) @ K", 1, 0),
        ("softmax(Q @ (K @ K.T @ K).T) @ V", 1, 2),
        # what no library call takes
        ("transpose(softmax(Q @ K.T)) @ V", 0, 2),
        ("logsigmoid(softmax(Q @ K.T)) @ V", 0, 2),
        ("softmax(tanh(Q @ K.T)) @ V", 0, 2),
        ("softmax(Q @ K.T) @ (softmax(Q @ K.T) @ V + V) + softmax(Q @ K.T) @ K", 0, 4),
        ("(Q @ K.T) @ V", 0, 2),
    ],
)
def test_which_call_each_form_becomes(text, attentions, products):
    found = calls(text)
    assert found[SDPA] == attentions
    assert found["torch.matmul"] == products


def test_two_maps_that_wait_for_each_other_are_no_library_calls():
    program = check_expression("softmax(Q @ K.T) @ (softmax(V @ P.T) @ K) + softmax(V @ P.T) @ (softmax(Q @ K.T) @ V)")
    case = Case(1, 2, 9, 16, None, 0.0, torch.float32, 0)
    check(program, case, eager_function(program, case))


def test_the_source_reads_like_the_program():
    lowered = lower(check_expression("softmax(scale(Q @ neg(logsigmoid(K).T))) @ (K + Q)"), "mix", "The program.")
    assert lowered.source.split("\n\n\n")[0] == (
        "def mix(Q, K, mask, dropout_p):\n"
        '    """The program."""\n'
        "    dtype = Q.dtype\n"
        "    Q = select_rows(widen(Q), mask)\n"
        "    K = select_rows(widen(K), mask)\n"
        "    head_dim = Q.shape[-1]\n"
        "    logsigmoid_1 = F.logsigmoid(K)\n"
        "    logsigmoid_1 = select_rows(logsigmoid_1, mask)\n"
        "    add_1 = Q + K\n"
        "    matmul_1 = attention(Q, logsigmoid_1, add_1, mask, dropout_p, -(head_dim**-0.5), dtype)\n"
        "    return matmul_1.to(dtype)"
    )
    assert lowered.helpers == ("attention", "dropout", "masked_softmax", "select_rows", "wide_matmul", "widen")
    assert lowered.map_name == "mix_with_map"


@fuzz(600)
@given(programs(), cases())
def test_values_and_gradients_are_inside_the_budget(program, case):
    check(program, case, eager_function(program, case))


@pytest.mark.fuzz
def test_programs_with_primitives_from_outside():
    @fuzz(60)
    @given(programs(), cases())
    def inside_the_budget(program, case):
        check(program, case, eager_function(program, case))

    with registered(CUBE), registered(MANHATTAN):
        inside_the_budget()


@fuzz(100)
@given(programs(), cases())
def test_the_plain_program_keeps_the_padding_rule(program, case):
    check(program, case, plain_function(program))


def test_the_checks_see_a_fault():
    """The budget is no rubber stamp: small faults of each kind are found."""
    program = check_expression("softmax(scale(Q @ K.T)) @ V")
    source = lower(program, "f", "f").source
    mask = ((True,) * 5 + (False,) * 3,) * 2
    case = Case(2, 2, 8, 16, mask, 1e30, torch.float32, 0)
    check(program, case, compiled(source, "f"))
    for right, wrong in [
        ("head_dim**-0.5", "head_dim**-0.50001"),
        ("attention(Q, K, V, mask,", "attention(Q, K, V, None,"),
        ("attention(Q, K, V, mask,", "attention(Q, K, V * 1.00001, mask,"),
    ]:
        assert right in source
        with pytest.raises(AssertionError):
            check(program, case, compiled(source.replace(right, wrong, 1), "f"))


def test_comparisons_are_counted_and_not_skipped():
    case = Case(1, 1, 3, 16, None, 0.0, torch.float16, 0)
    steep = check_expression("exp(square(square(Q + Q)) @ square(K).T) @ V")
    report = check(steep, case, eager_function(steep, case), Report())
    assert report.not_finite + report.ill_conditioned > 0


@pytest.mark.parametrize("text", ["softmax(Q @ K.T) @ V", "K @ (K.T @ Q)"])
def test_states_are_wide(text):
    """K^T K leaves float16 at N = 8192; statistics and [D,D] states are float32."""
    program = check_expression(text)
    inputs = [torch.full((1, 1, 8192, 16), 4.0, dtype=torch.float16) for _ in program.inputs]
    lowered = lower(program, "f", "f")
    result = compiled(lowered.source, "f")(
        *(value / 100 if "K.T @ Q" in text else value for value in inputs), None, 0.0
    )
    assert result.isfinite().all() and result.dtype == torch.float16
    state = functional.wide_matmul(inputs[0].mT, inputs[0])
    assert state.dtype == torch.float32 and bool((state == 8192 * 16.0).all())


def test_a_factor_moved_behind_a_product_does_not_overflow():
    """scale(Q) @ scale(K)^T is 3600 here; Q @ K^T, before the scale, would leave float16."""
    program = check_expression("softsign(scale(Q) @ scale(K).T) @ V")
    inputs = [torch.full((1, 1, 4, 64), size, dtype=torch.float16) for size in (60.0, 60.0, 1.0)]
    result = compiled(lower(program, "f", "f").source, "f")(*inputs, None, 0.0)
    assert torch.allclose(result.float(), torch.tensor(4 * 3600 / 3601), rtol=1e-3)


def test_a_naive_program_has_a_statement_per_node():
    program = check_expression("softmax(scale(Q @ neg(K).T)) @ V")
    lowered = lower_naively(program, "f", "f")
    assert [stage.name for stage in lowered.stages] == [
        "neg_1",
        "transpose_1",
        "matmul_1",
        "scale_1",
        "softmax_1",
        "matmul_2",
    ]


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
def test_query_blocks_give_the_same_memory_bound_result(dropout_p, monkeypatch):
    function = compiled(lower(check_expression("softmax(Q @ K.T) @ V"), "f", "f").source, "f")
    inputs = [torch.randn(2, 3, 40, 16, requires_grad=True) for _ in range(3)]
    monkeypatch.setattr(functional, "BLOCK_ELEMENTS", 1000)
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        result = function(*inputs, None, dropout_p)
        results.append((result, *torch.autograd.grad(result.square().sum(), inputs)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    if dropout_p == 0.0:
        expected = torch.softmax(inputs[0] @ inputs[1].mT, dim=-1) @ inputs[2]
        assert torch.allclose(results[0][0], expected, atol=1e-5)


def test_blocked_dropout_has_the_right_gradient(monkeypatch):
    """With the mask fixed by a seed the function is smooth: its gradient is checked in float64."""
    function = compiled(lower(check_expression("softmax(Q @ K.T) @ V"), "f", "f").source, "f")
    monkeypatch.setattr(functional, "BLOCK_ELEMENTS", 20)

    def seeded(*inputs):
        torch.manual_seed(1)
        return function(*inputs, None, 0.4)

    inputs = [torch.randn(1, 2, 6, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(seeded, inputs)
