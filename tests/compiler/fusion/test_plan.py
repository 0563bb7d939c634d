"""What the planner makes of known programs: stages, what they share, what they cost."""

from pathlib import Path

import pytest

from autobertc.compiler.fusion.accounting import Sizes, account
from autobertc.compiler.fusion.joint import plan_program
from autobertc.compiler.fusion.plan import Plan
from autobertc.dsl import load
from autobertc.dsl.checker import check_expression, read_program

EXAMPLES = Path(__file__).parents[3] / "examples"
N, D = 1024, 64


def plans(text: str):
    return plan_program(check_expression(text))


def kinds(plan: Plan) -> list[str]:
    return [stage.kind for stage in plan.stages]


def test_attention_is_flash_attention_2():
    """Forward one kernel; backward the row sums over D, dQ, and dK with dV: the bytes of FlashAttention-2 (Dao 2023,
    algorithms 1 and 2), each [N,D] matrix moved as often, and for each token one logarithm of a sum."""
    joint = plans("softmax(scale(matmul(Q, transpose(K)))) @ V")
    assert kinds(joint.forward) == ["stream"]
    assert kinds(joint.backward) == ["rows", "stream", "stream"]
    names = joint.backward.names
    written = [
        {names[node] for node in stage.targets if node in joint.backward.stored} for stage in joint.backward.stages
    ]
    assert written == [{"row_sum_1"}, {"Q_gradient"}, {"K_gradient", "V_gradient"}]
    matrix, number = N * D * 2, N * 4
    costs = account(joint, Sizes(N, D))
    assert costs["forward"]["bytes"] == 4 * matrix + number
    by_stage = [stage["bytes"] for stage in costs["backward"]["stages"]]
    assert by_stage == [2 * matrix + number, 5 * matrix + 2 * number, 6 * matrix + 2 * number]
    # Products: S and PV forward; S, dP, dQ, and S, dP, dV, dK backward.
    assert costs["forward"]["flops"] == 2 * 2 * N * N * D
    assert costs["backward"]["flops"] == (3 + 4) * 2 * N * N * D


@pytest.mark.parametrize("size", ["small", "base", "large"])
def test_the_published_programs_have_one_forward_stage_besides_row_local_work(size):
    for program in load(EXAMPLES / f"autobert-zero-{size}.abz").programs():
        joint = plan_program(program)
        assert sorted(kinds(joint.forward)) in (["stream"], ["rows", "stream"])
        assert kinds(joint.forward)[-1] == "stream"


LINEAR = [
    "(Q @ K.T) @ V",
    "Q @ (K.T @ V)",
    "(Q @ K.T + scale(V @ P.T)) @ V",
    "logsigmoid(Q) @ (softmax(K.T) @ V)",
    "((Q @ K.T) @ (V @ P.T)) @ K",
    "cosine_similarity(Q, K) @ V",
    "transpose(neg(Q @ K.T)) @ V + Q",
    "softmax(Q) @ tanh(K.T @ V)",
]


@pytest.mark.parametrize("text", LINEAR)
def test_what_reassociation_makes_linear_has_no_map_at_all(text):
    joint = plans(text)
    for plan in (joint.forward, joint.backward):
        assert not {"stream", "map", "library"} & set(kinds(plan))
    long, longer = (account(joint, Sizes(length, D)) for length in (8192, 16384))
    assert long["growth"] == "linear"
    for direction in ("forward", "backward"):
        for cost in ("flops", "transcendentals", "bytes"):
            # Twice the tokens cost twice as much, or less where a part does not depend on them.
            assert longer[direction][cost] <= 2 * long[direction][cost]
        assert long[direction]["flops"] <= 40 * 8192 * D * D


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("softmax(Q @ K.T) @ softmax(V @ P.T) @ V", 0),
        ("(softmax(Q @ K.T) @ softmax(V @ P.T) + softmax(P @ K.T)) @ V", 0),
        ("neg(scale(softmax(Q @ K.T) @ softmax(V @ P.T))) @ V + V", 0),
        ("softmax(Q @ K.T) @ transpose(softmax(V @ P.T) @ softmax(Q @ K.T)) @ V", 0),
        # A score product is of low rank: P S K^T is (P Q) K^T, however it is used.
        ("tanh(softmax(Q @ K.T) @ (Q @ K.T)) @ V + tanh(Q @ K.T) @ V", 0),
        # Only these need PyTorch: a function that is not linear of a product of two maps.
        ("tanh(softmax(Q @ K.T) @ softmax(V @ P.T)) @ V", 3),
        ("cosine_similarity(softmax(Q @ K.T), softmax(V @ P.T)) @ V", 0),
        ("euclidean_distance(softmax(Q @ K.T), softmax(V @ P.T)) @ V", 3),
    ],
)
def test_library_calls_only_where_two_maps_meet_under_a_function(text, calls):
    joint = plans(text)
    assert sum(kind == "library" for plan in (joint.forward, joint.backward) for kind in kinds(plan)) == calls


def test_a_shared_product_of_maps_is_taken_apart_in_every_use():
    program = read_program(
        "let m = matmul(softmax(matmul(Q, transpose(K))), softmax(matmul(V, transpose(P))))\n"
        "att: add(matmul(m, V), matmul(transpose(m), K))\n"
    )
    joint = plan_program(program)
    assert "library" not in kinds(joint.forward) + kinds(joint.backward)


def test_doublings_stay_linear():
    text = "softmax(Q @ K.T)"
    lines = [f"let a0 = {text}"] + [f"let a{n + 1} = matmul(a{n}, a{n})" for n in range(40)]
    joint = plan_program(
        read_program("\n".join(lines).replace("Q @ K.T", "matmul(Q, transpose(K))") + "\natt: matmul(a40, V)\n")
    )
    assert len(joint.forward.stages) < 60 and len(joint.backward.stages) < 200


def test_heads_of_one_program_share_a_kernel():
    joint = plans("softmax(Q @ K.T) @ V + softmax(Q @ P.T) @ K")
    assert kinds(joint.forward) == ["stream"]


def test_a_softmax_used_otherwise_takes_two_stages():
    joint = plans("logsigmoid(softmax(Q @ K.T)) @ V")
    assert kinds(joint.forward) == ["stream", "stream"]
    assert joint.forward.stages[0].online == {}


def test_one_pass_serves_all_products_of_a_softmax():
    joint = plans("softmax(Q @ K.T) @ V + tanh(softmax(Q @ K.T) @ K)")
    assert kinds(joint.forward) == ["stream"]
    (sums,) = joint.forward.stages[0].online.values()
    assert len(sums) == 2


def test_transforms_of_the_streamed_side_are_written_once():
    joint = plans("softmax(Q @ logsigmoid(K).T) @ V")
    assert kinds(joint.forward) == ["rows", "stream"]
    assert [node.op.name for node in joint.forward.stages[0].targets] == ["logsigmoid"]
    # On the side that a program owns they are computed where they are used.
    assert kinds(plans("softmax(logsigmoid(Q) @ K.T) @ V").forward) == ["stream"]


def test_plans_are_the_same_each_time():
    from autobertc.compiler.fusion.fused_text import fuse

    program = check_expression("softmax(scale(Q @ K.T)) @ (V + tanh(K))")
    assert fuse(program, "a").source == fuse(program, "a").source
