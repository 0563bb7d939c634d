"""What correct means: error budgets from the program itself, none tuned by hand.

A result in dtype T may be off the float64 oracle by 2 * (error of the plain program in T + eps(T) * m), with m the
largest magnitude in the result and in the terms summed into it, followed back to the inputs. The plain program is
one torch call per node. For gradients the oracle is float64 autograd of the plain program.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from strategies import Case
from torch.nn import functional as F

from autobertc.compiler.eager import lower, lower_naively
from autobertc.compiler.modeling import functional as ops
from autobertc.compiler.reference import evaluate_all
from autobertc.dsl.graph import Node, Program, make_node, post_order, print_program
from autobertc.dsl.ops.base import (
    Elementwise,
    ElementwiseBinary,
    Factor,
    Input,
    MatMul,
    Pairwise,
    Rowwise,
    Transpose,
)

Tensors = dict[str, torch.Tensor]
ILL_CONDITIONED = 1e-2


def compiled(source: str, name: str) -> Callable[..., torch.Tensor]:
    """The function that a lowered program's source defines."""
    namespace = {"torch": torch, "F": F, **vars(ops)}
    exec(source, namespace)
    return namespace[name]


def plain_function(program: Program) -> Callable[..., torch.Tensor]:
    return compiled(lower_naively(program, "plain", "plain").source, "plain")


def eager_function(program: Program, case: Case) -> Callable[..., torch.Tensor]:
    return compiled(lower(program, "eager", "eager", case.length, case.head_dim).source, "eager")


def run(function: Callable[..., torch.Tensor], inputs: Tensors, mask: torch.Tensor | None, cotangent: torch.Tensor):
    """The result and the input gradients."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs.values()]
    result = function(*leaves, mask, 0.0)
    gradients = torch.autograd.grad(result, leaves, cotangent.to(result.dtype), allow_unused=True)
    zeros = (torch.zeros_like(leaf) for leaf in leaves)
    return result.detach(), [zero if given is None else given for given, zero in zip(gradients, zeros, strict=True)]


# ---------------------------------------------------------------- largest magnitudes of summed terms


def _product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The size of the terms x[i, k] y[k, j], by root sum square: what rounding errors grow with, in any order of
    summation, and so under any association of a chain."""
    return torch.matmul(x.square(), y.square()).sqrt()


def _sum_size(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum(dim=-1, keepdim=True).sqrt()


def _evaluate(op, operands: list[torch.Tensor]) -> torch.Tensor:
    names = {f"x{index}": operand for index, operand in enumerate(operands)}
    return eval(op.torch.format(*names), {"torch": torch, "F": F, "ops": ops, **names})


def _derivatives(op, operands: list[torch.Tensor], weight: float = 1.0) -> list[torch.Tensor]:
    """The elementwise derivatives of an operation, taken with an incoming gradient of `weight`."""
    leaves = [value.clone().requires_grad_() for value in operands]
    result = _evaluate(op, leaves)
    gradients = torch.autograd.grad(result, leaves, torch.full_like(result, weight))
    return [gradient.double() / weight for gradient in gradients]


def _moved(operands: list[torch.Tensor], given: list[torch.Tensor], eps: float) -> list[list[torch.Tensor]]:
    """The operands moved by rounding errors of their sizes: not by derivatives, which miss kinks and squares of 0."""
    return [
        [value + sign * eps * size for value, sign, size in zip(operands, signs, given, strict=True)]
        for signs in product((-1, 0, 1), repeat=len(operands))
    ]


def forward_magnitudes(
    program: Program, values: dict[Node, torch.Tensor], head_dim: int, eps: float
) -> dict[Node, torch.Tensor]:
    """For each value the largest term summed into it, or into what it is computed from."""
    terms: dict[Node, torch.Tensor] = {}
    for node in post_order(program.root):
        given = [terms[operand] for operand in node.operands]
        operands = [values[operand] for operand in node.operands]
        op, value = node.op, values[node].abs()
        if isinstance(op, Input):
            term = value
        elif isinstance(op, Factor):
            term = given[0] * head_dim ** (-op.power / 2)
        elif isinstance(op, Transpose):
            term = given[0].mT
        elif isinstance(op, MatMul):
            term = _product(*given)
        elif isinstance(op, Elementwise | ElementwiseBinary):
            value_moved = [(_evaluate(op, moved) - values[node]).abs() / eps for moved in _moved(operands, given, eps)]
            term = torch.stack(value_moved).amax(dim=0)
        elif isinstance(op, Rowwise) and op.is_map:
            term = value * (given[0] + _sum_size(value * given[0]))
        elif isinstance(op, Rowwise):
            term = _unit_terms(operands[0], given[0])
        elif op.definition:
            x, y = (_unit_terms(operand, part) for operand, part in zip(operands, given, strict=True))
            term = _sum_size(x) + _sum_size(y).mT
        else:
            term = _sum_size(given[0]) + _sum_size(given[1]).mT
        # 0 * inf, where an exponential overflows inside a value that saturates.
        terms[node] = torch.maximum(torch.where(term.isfinite(), term, value), value)
    return terms


def node_gradients(program: Program, inputs: Tensors, cotangent: torch.Tensor) -> dict[Node, torch.Tensor]:
    """Float64 autograd of the plain program: the gradient of every value."""
    head_dim = cotangent.shape[-1]
    values: dict[Node, torch.Tensor] = {}
    for node in post_order(program.root):
        operands, op = [values[operand] for operand in node.operands], node.op
        if isinstance(op, Input):
            value = inputs[op.name].clone().requires_grad_()
        elif isinstance(op, Factor):
            value = operands[0] * (op.sign * head_dim ** (-op.power / 2))
        elif isinstance(op, Transpose):
            value = operands[0].mT
        elif isinstance(op, MatMul):
            value = torch.matmul(*operands)
        else:
            value = _evaluate(op, operands)
        values[node] = value
    nodes = list(values)
    gradients = torch.autograd.grad(
        values[program.root], [values[node] for node in nodes], cotangent, allow_unused=True
    )
    return {
        node: torch.zeros_like(values[node]) if gradient is None else gradient
        for node, gradient in zip(nodes, gradients, strict=True)
    }


def backward_magnitudes(
    program: Program,
    values: dict[Node, torch.Tensor],
    forward: dict[Node, torch.Tensor],
    gradients: dict[Node, torch.Tensor],
    head_dim: int,
    dtype: torch.dtype,
) -> dict[str, torch.Tensor]:
    """For each input's gradient the largest term summed into it, followed back through the whole backward pass.

    Factors that the backward pass takes from the forward pass count with the terms summed into them, `forward`: a fused
    form computes them again, an attention weight from its score and the logarithm of their sum.
    """
    eps = torch.finfo(dtype).eps
    nodes = list(post_order(program.root))
    terms = {node: torch.zeros_like(values[node]) for node in nodes}
    terms[program.root] = gradients[program.root].abs()
    for node in reversed(nodes):
        given, op, operands = terms[node], node.op, [values[operand] for operand in node.operands]
        given = terms[node] = torch.maximum(given, gradients[node].abs())
        if isinstance(op, Input):
            continue
        if isinstance(op, Factor):
            parts = [given * head_dim ** (-op.power / 2)]
        elif isinstance(op, Transpose):
            parts = [given.mT]
        elif isinstance(op, MatMul):
            x, y = (forward[operand] for operand in node.operands)
            parts = [_product(given, y.mT), _product(x.mT, given)]
        elif isinstance(op, Elementwise | ElementwiseBinary):
            slopes = _derivatives(op, operands)
            around = [
                _derivatives(op, moved) for moved in _moved(operands, [forward[below] for below in node.operands], eps)
            ]
            # The library's own derivative in the tested dtype: its terms may cancel, as softsign's do, or seem to,
            # where the incoming gradient is 1.
            around += [
                _derivatives(op, [value.to(dtype) for value in operands], weight=1 + count / 8) for count in range(8)
            ]
            # The oracle's derivative is rounded too: that of tanh, 1 - y^2, is 0 as soon as y rounds to 1 in float64.
            rounded = torch.finfo(torch.float64).eps / eps
            parts = [
                given
                * (
                    slope.abs()
                    + torch.stack([(near[index] - slope).abs() / eps for near in around]).amax(dim=0)
                    + rounded * slope.abs().clamp_min(1)
                )
                for index, slope in enumerate(slopes)
            ]
        elif isinstance(op, Rowwise) and op.is_map:
            parts = [forward[node] * (given + _sum_size(forward[node] * given))]
        elif isinstance(op, Rowwise):
            parts = [_unit_terms(operands[0], given, forward[node.operands[0]])]
        elif isinstance(op, Pairwise) and op.definition:
            x, y = (F.normalize(operand, dim=-1, eps=1e-8) for operand in operands)
            parts = [
                _unit_terms(operands[0], _product(given, y.abs()), forward[node.operands[0]]),
                _unit_terms(operands[1], _product(given.mT, x.abs()), forward[node.operands[1]]),
            ]
        else:
            # A distance: |x - y| / d is at most 1, and as uncertain as the rows are large beside d; exactly 0 at d = 0,
            # as on the diagonal of a distance to itself.
            rows, columns = (_sum_size(forward[below]) for below in node.operands)
            distance = values[node]
            given = torch.where(distance == 0, 0.0, given * (1 + (rows + columns.mT) / distance.clamp_min(1e-300)))
            parts = [
                _sum_size(given).expand_as(operands[0]),
                _sum_size(given.mT).expand_as(operands[1]),
            ]
        for operand, part in zip(node.operands, parts, strict=True):
            terms[operand] = terms[operand] + torch.where(part.isfinite(), part, 0.0)
    return {node.op.name: terms[node] for node in nodes if isinstance(node.op, Input)}


def _unit_terms(x: torch.Tensor, given: torch.Tensor, size: torch.Tensor | None = None) -> torch.Tensor:
    """Terms of the derivative of a unit row, with x as uncertain as its `size`."""
    norm = x.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    rows = (x / norm).abs()
    terms = (given + rows * _sum_size(rows * given)) / norm
    return terms if size is None else terms * (1 + _sum_size(size) / norm)


def near_rows(program: Program, values: dict[Node, torch.Tensor], eps: float) -> set[str]:
    """Inputs above a distance of rows that are nearly equal, whose direction rounding decides."""
    names: set[str] = set()
    for node in post_order(program.root):
        if not isinstance(node.op, Pairwise) or node.op.definition:
            continue
        x, y = (values[operand] for operand in node.operands)
        sizes = x.norm(dim=-1)[..., :, None] + y.norm(dim=-1)[..., None, :]
        near = values[node] < eps**0.5 * sizes
        if node.operands[0] is node.operands[1]:
            near = near & ~torch.eye(near.shape[-1], dtype=torch.bool)
        near = near | (sizes == 0)
        if bool(near.any()):
            names |= {below.op.name for below in post_order(node) if isinstance(below.op, Input)}
    return names


# ---------------------------------------------------------------- the comparison


@dataclass
class Report:
    """What a check met beside its comparisons."""

    ill_conditioned: int = 0
    near_rows: int = 0
    not_finite: int = 0


def oracle(program: Program, inputs: Tensors) -> dict[Node, torch.Tensor]:
    """Every value of the program by the NumPy evaluator."""
    arrays = evaluate_all(program, {name: value.numpy() for name, value in inputs.items()})
    return {node: torch.from_numpy(np.ascontiguousarray(array)) for node, array in arrays.items()}


def _compare(label: str, got, oracle, plain, noise, terms, dtype: torch.dtype, report: Report) -> None:
    """Assert one result, [heads, n, columns] of real tokens, inside its budget."""
    if oracle.numel() == 0:
        return
    if not bool(oracle.isfinite().all()) or not bool(plain.isfinite().all()):
        report.not_finite += 1
        return
    assert bool(got.isfinite().all()), f"{label}: not finite where the oracle and the plain program are"
    eps = torch.finfo(dtype).eps
    size = float(torch.maximum(oracle.abs().amax(), terms.amax()))
    error = float((got.double() - oracle).abs().amax())
    plain_error = float((plain.double() - oracle).abs().amax())
    budget = 2 * (plain_error + eps * size)
    if noise > ILL_CONDITIONED * size:
        report.ill_conditioned += 1
        budget = max(budget, 2 * noise)
    assert error <= budget, (
        f"{label}: error {error:.3e} over the budget {budget:.3e} (plain {plain_error:.3e}, m {size:.3e})"
    )


def check(program: Program, case: Case, function: Callable[..., torch.Tensor], report: Report | None = None) -> Report:
    """Compare a function of padded batches with the oracle, values and gradients, sequence by sequence."""
    try:
        return _check(program, case, function, report or Report())
    except AssertionError as error:
        error.add_note(f"{print_program(program)}{case}")
        raise


def _check(program: Program, case: Case, function: Callable[..., torch.Tensor], report: Report) -> Report:
    names = program.inputs
    inputs = case.tensors(names)
    mask = case.mask_tensor()
    generator = torch.Generator().manual_seed(case.seed + 1)
    shape = (case.batch, case.heads, case.length, case.head_dim)
    cotangent = torch.randn(shape, generator=generator, dtype=torch.float64).to(case.dtype)
    if mask is not None:
        cotangent = torch.where(mask[:, None, :, None], cotangent, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result, gradients = run(function, inputs, mask, cotangent)
        again, gradients_again = run(function, inputs, mask, cotangent)
    for first, second in zip([result, *gradients], [again, *gradients_again], strict=True):
        assert torch.equal(first.nan_to_num(), second.nan_to_num()), "two runs differ"
    assert result.shape == shape and result.dtype == case.dtype
    assert all(value.dtype == case.dtype for value in gradients)
    plain = plain_function(program)
    eps = torch.finfo(case.dtype).eps
    for index in range(case.batch):
        real = case.real(index)
        for name, gradient in zip(names, gradients, strict=True):
            padded = gradient[index][:, ~real]
            assert bool((padded == 0).all()), f"gradient of {name} at padded rows is not 0"
        if not bool(real.any()):
            assert bool(result[index].isfinite().all()), "not finite on a sequence of no real token"
            continue
        low = {name: value[index][:, real] for name, value in inputs.items()}
        wide = {name: value.double() for name, value in low.items()}
        given = cotangent[index][:, real]
        values, all_gradients = oracle(program, wide), node_gradients(program, wide, given.double())
        expected = [all_gradients[make_node(name)] for name in names]
        plain_result, plain_gradients = run(plain, low, None, given)
        noises = []
        for sign_seed in range(2):
            sign = torch.Generator().manual_seed(sign_seed)
            moved = {
                name: value * (1 + eps * (torch.randint(0, 2, value.shape, generator=sign) * 2 - 1))
                for name, value in wide.items()
            }
            noises.append(run(plain, moved, None, given.double()))
        got, want = result[index][:, real], values[program.root]
        noise = max(float((moved - want).abs().amax()) for moved, _ in noises)
        forward = forward_magnitudes(program, values, case.head_dim, eps)
        size = forward[program.root]
        _compare("value", got, want, plain_result, noise, size, case.dtype, report)
        skipped = near_rows(program, values, eps)
        sizes = backward_magnitudes(program, values, forward, all_gradients, case.head_dim, case.dtype)
        for position, name in enumerate(names):
            if name in skipped:
                report.near_rows += 1
                continue
            noise = max(float((moved[position] - expected[position]).abs().amax()) for _, moved in noises)
            _compare(
                f"gradient of {name}",
                gradients[position][index][:, real],
                expected[position],
                plain_gradients[position],
                noise,
                sizes[name],
                case.dtype,
                report,
            )
    return report
