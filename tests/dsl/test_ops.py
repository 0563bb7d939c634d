"""One template over every primitive: what its file claims is what it computes."""

import numpy as np
import pytest
import torch
from numerics import check, eager_function, oracle
from strategies import CUBE, MANHATTAN, Case
from torch.nn import functional as F

from autobertc.compiler.eager import keeps_zeros
from autobertc.compiler.modeling import functional
from autobertc.dsl.checker import check_expression
from autobertc.dsl.graph import make_node, print_program
from autobertc.dsl.ops import (
    Elementwise,
    ElementwiseBinary,
    Factor,
    Pairwise,
    Rowwise,
    lookup,
    primitives,
    register,
    registered,
)
from autobertc.dsl.ops.expressions import evaluate

ALL = primitives("paper", "second", "internal")
VALUED = [op for op in ALL if isinstance(op, Elementwise | ElementwiseBinary | Rowwise | Pairwise)]


def operands(op, seed=0):
    return list(torch.randn(op.arity, 5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def torch_value(op, values):
    names = {f"x{index}": value for index, value in enumerate(values)}
    return eval(op.torch.format(*names), {"torch": torch, "F": F, "ops": functional, **names})


def test_the_paper_has_ten_and_the_second_set_six():
    paper = "add cosine_similarity euclidean_distance logsigmoid matmul neg scale softmax softsign transpose"
    assert {op.name for op in primitives("paper")} == set(paper.split())
    assert {op.name for op in primitives("second")} == {"mul", "relu", "square", "exp", "sigmoid", "tanh"}


@pytest.mark.parametrize("op", VALUED, ids=lambda op: op.name)
def test_both_values_agree(op):
    values = operands(op)
    expected = op.numpy(np, *(value.numpy() for value in values))
    assert np.allclose(torch_value(op, values).numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("op", [op for op in VALUED if op.name not in ("exp", "square", "mul")], ids=lambda op: op.name)
def test_values_are_stable_at_the_ends(op):
    for size in (1e-30, 1e4):
        values = [value * size for value in operands(op)]
        assert torch_value(op, values).isfinite().all()
        assert np.isfinite(op.numpy(np, *(value.numpy() for value in values))).all()


@pytest.mark.parametrize("op", [op for op in VALUED if getattr(op, "parity", None)], ids=lambda op: op.name)
def test_parity_is_exact(op):
    (value,) = operands(op)
    sign = -1.0 if op.parity == "odd" else 1.0
    assert torch.equal(torch_value(op, [-value]), sign * torch_value(op, [value]))


@pytest.mark.parametrize("op", [op for op in VALUED if isinstance(op, ElementwiseBinary)], ids=lambda op: op.name)
def test_claims_of_binary_operations(op):
    x, y = operands(op)
    assert op.commutative == torch.equal(torch_value(op, [x, y]), torch_value(op, [y, x]))
    assert op.multilinear == torch.allclose(torch_value(op, [2 * x, y]), 2 * torch_value(op, [x, y]))


@pytest.mark.parametrize("op", [op for op in VALUED if isinstance(op, Pairwise)], ids=lambda op: op.name)
def test_comparisons_are_symmetric_and_blind_to_common_zeros(op):
    x, y = operands(op)
    value = torch_value(op, [x, y])
    assert torch.allclose(value, torch_value(op, [y, x]).mT)
    assert torch.allclose(value, torch_value(op, [F.pad(x, (0, 4)), F.pad(y, (0, 4))]))


def test_which_operations_keep_padding_zero():
    kept = {op.name for op in ALL if keeps_zeros(op)}
    assert kept == {"add", "matmul", "mul", "neg", "relu", "scale", "softsign", "square", "tanh", "transpose", "unit"}


def test_factors():
    assert (lookup("neg").sign, lookup("neg").power) == (-1, 0)
    assert (lookup("scale").sign, lookup("scale").power) == (1, 1)
    assert all(isinstance(lookup(name), Factor) for name in ("neg", "scale"))


def test_cosine_clamps_each_norm_by_itself():
    x = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    x[0, 0, 0, 0] = 1e-9
    y = torch.zeros_like(x)
    y[0, 0, :, 0] = 2.0
    leaf = x.clone().requires_grad_()
    value = functional.unit(leaf) @ functional.unit(y).mT
    assert torch.allclose(value[0, 0, 0], torch.full((2,), 0.1, dtype=torch.float64))
    value.sum().backward()
    # At the clamp the norm is a constant: the gradient is the other unit vector over 1e-8.
    assert torch.allclose(leaf.grad[0, 0, :, 0], torch.full((2,), 2e8, dtype=torch.float64))


def test_cosine_norms_are_wide():
    tiny = torch.full((1, 1, 1, 4), 1e-4, dtype=torch.float16)
    assert torch.allclose(functional.unit(tiny).float(), torch.tensor(0.5), atol=1e-3)


def test_distance_of_equal_rows_has_no_gradient():
    x = torch.randn(1, 1, 40, 16, requires_grad=True)
    distance = functional.distance(x, x)
    assert (distance.diagonal(dim1=-2, dim2=-1) == 0).all()
    distance.diagonal(dim1=-2, dim2=-1).sum().backward()
    assert (x.grad == 0).all()


def test_distance_of_near_rows_is_right():
    # Above 25 rows torch.cdist would switch to |x|^2 + |y|^2 - 2 x.y, which loses this answer.
    x = 1000 + torch.randn(1, 1, 64, 32, dtype=torch.float64)
    near = (x + 1e-3).float()
    exact = (near.double() - x.float().double()).norm(dim=-1)
    found = functional.distance(near, x.float()).diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(found.double(), exact, rtol=1e-6)


def test_a_primitive_from_outside_needs_no_edit_elsewhere():
    case = Case(2, 2, 9, 16, ((True,) * 6 + (False,) * 3, (True, False) * 4 + (True,)), 1e30, torch.float32, 3)
    with registered(CUBE), registered(MANHATTAN):
        program = check_expression("softmax(neg(manhattan(cube(-Q), tanh(K)))) @ cube(V)")
        assert "cube" in print_program(program)
        check(program, case, eager_function(program, case))
        inputs = {name: value.double()[0, 0] for name, value in case.tensors(program.inputs).items()}
        assert oracle(program, inputs)[program.root].shape == (9, 16)
    with pytest.raises(KeyError):
        make_node("cube", make_node("Q"))


@pytest.mark.parametrize("name", ["Q", "att", "a-b", "", "matmul", "größe"])
def test_names_a_primitive_cannot_have(name):
    with pytest.raises(ValueError, match=r"primitive|word of the language"):
        register(Elementwise(name=name, formula="", numpy=lambda np, x: x, torch="{0}"))


# ---------------------------------------------------------------- kernel expressions


def expression(text, **values):
    return evaluate(np, text, {name: np.asarray(value, dtype=np.float64) for name, value in values.items()})


@pytest.mark.parametrize("op", [op for op in VALUED if isinstance(op, Elementwise)], ids=lambda op: op.name)
def test_kernel_expressions_of_elementwise_operations(op):
    """The value is the oracle's, the slope its difference quotient; the slope keeps its precision far from 0."""
    x = np.concatenate([np.linspace(-3, 3, 41) + 0.01, [-20.0, 15.0]])
    value = op.numpy(np, x)
    assert np.allclose(expression(op.kernel, x=x), value, rtol=1e-12)
    step = 1e-6
    quotient = (op.numpy(np, x + step) - op.numpy(np, x - step)) / (2 * step)
    assert np.allclose(expression(op.slope, x=x, y=value) * np.ones_like(x), quotient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("op", [op for op in VALUED if isinstance(op, ElementwiseBinary)], ids=lambda op: op.name)
def test_kernel_expressions_of_binary_operations(op):
    x, y = (value.numpy() for value in operands(op))
    assert np.allclose(expression(op.kernel, x=x, y=y), op.numpy(np, x, y))
    for slope, (dx, dy) in zip(op.slopes, ((1e-6, 0.0), (0.0, 1e-6)), strict=True):
        quotient = (op.numpy(np, x + dx, y + dy) - op.numpy(np, x - dx, y - dy)) / 2e-6
        assert np.allclose(expression(slope, x=x, y=y) * np.ones_like(x), quotient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("name", "at"), [("tanh", 9.0), ("sigmoid", 16.0), ("logsigmoid", 16.0)])
def test_slopes_do_not_cancel_in_single_precision(name, at):
    op = lookup(name)
    x = np.float32(at)
    with np.errstate(all="ignore"):
        found = evaluate(np, op.slope, {"x": x, "y": np.float32(op.numpy(np, x))})
    exact = expression(op.slope, x=at, y=op.numpy(np, at))
    assert found == pytest.approx(float(exact), rel=1e-5)
