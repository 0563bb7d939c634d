"""Hypothesis strategies: random legal programs, shapes and masks. They shrink to small programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from autobertc.dsl.graph import Node, Program, apply_to_value, make_node
from autobertc.dsl.ops import Elementwise, Pairwise, primitives
from autobertc.dsl.ops.base import Primitive
from autobertc.dsl.types import DD, DN, ND, NN, TypeRuleError

# Primitives registered from outside: nothing in the project knows them.
CUBE = Elementwise(
    name="cube",
    formula="x^3",
    numpy=lambda np, x: x**3,
    torch="{0} ** 3",
    parity="odd",
    kernel="x * x * x",
    slope="3.0 * x * x",
)
MANHATTAN = Pairwise(
    name="manhattan",
    formula="sum |x_i - y_j|",
    numpy=lambda np, x, y: np.abs(x[..., :, None, :] - y[..., None, :, :]).sum(axis=-1),
    torch="({0}.unsqueeze(-2) - {1}.unsqueeze(-3)).abs().sum(-1)",
    term="abs(x - y)",
    term_slope="where(x > y, 1.0, where(x < y, -1.0, 0.0))",
)


def fuzz(ci: int, deep: int = 10_000) -> Callable[[Callable[..., None]], object]:
    """A property checked on a fixed sample of `ci` examples, or on `deep` new ones where FUZZ is set (`make fuzz`)."""
    deeply = bool(os.environ.get("FUZZ"))

    def decorate(test: Callable[..., None]) -> object:
        chosen = settings(
            max_examples=deep if deeply else ci,
            derandomize=not deeply,
            print_blob=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.fuzz(chosen(test))

    return decorate


def _legal(op: Primitive, *operands: Node) -> bool:
    try:
        op.result_type(*(operand.type for operand in operands))
    except TypeRuleError:
        return False
    return True


@st.composite
def roots(draw: st.DrawFn, op_sets: tuple[str, ...] = ("paper", "second"), max_ops: int = 30) -> Node:
    """An expression of type [N,D] or [N,N]."""
    ops = primitives(*op_sets)
    names = draw(st.lists(st.sampled_from("QKVP"), min_size=1, max_size=4, unique=True))
    pool = [make_node(name) for name in names]
    for _ in range(draw(st.integers(1, max_ops - 2))):
        op = draw(st.sampled_from(ops))
        # Late values are likelier operands, so that programs grow deep and not only wide.
        first = pool[-1 - draw(st.integers(0, len(pool) - 1))]
        operands = [first]
        if op.arity == 2:
            # One of an operand and its transpose fits nearly always.
            choices = [
                candidate
                for node in reversed(pool)
                for candidate in (node, make_node("transpose", node))
                if _legal(op, first, candidate)
            ]
            operands.append(draw(st.sampled_from(choices)))
        pool.append(make_node(op, *operands))
    root = pool[-1]
    if root.type == DN:
        root = make_node("transpose", root)
    if root.type == DD:
        root = make_node("matmul", pool[0], root)
    assert root.type in (ND, NN)
    return root


@st.composite
def programs(draw: st.DrawFn, op_sets: tuple[str, ...] = ("paper", "second"), max_ops: int = 30) -> Program:
    """A program as the checker makes it, [N,N] applied to V."""
    return Program(apply_to_value(draw(roots(op_sets, max_ops))))


@dataclass(frozen=True)
class Case:
    """Shapes, a mask and a seed; `tensors` draws the inputs."""

    batch: int
    heads: int
    length: int
    head_dim: int
    mask: tuple[tuple[bool, ...], ...] | None
    garbage: float
    dtype: torch.dtype
    seed: int

    def tensors(self, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """Inputs by name, with garbage at padded rows."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.batch, self.heads, self.length, self.head_dim)
        values = {}
        for name in names:
            value = torch.randn(shape, generator=generator, dtype=torch.float64).to(self.dtype)
            if self.mask is not None:
                value = torch.where(self.mask_tensor()[:, None, :, None], value, self.garbage)
            values[name] = value
        return values

    def mask_tensor(self) -> torch.Tensor | None:
        return None if self.mask is None else torch.tensor(self.mask)

    def real(self, index: int) -> torch.Tensor:
        """The real positions of one sequence."""
        return torch.ones(self.length, dtype=torch.bool) if self.mask is None else torch.tensor(self.mask[index])


@st.composite
def masks(draw: st.DrawFn, batch: int, length: int) -> tuple[tuple[bool, ...], ...]:
    """Right padding, left padding, holes, one token, nothing real."""
    rows = []
    for _ in range(batch):
        kind = draw(st.sampled_from(["right", "left", "holes", "one", "none", "all"]))
        count = draw(st.integers(0, length))
        if kind == "right":
            row = [position < count for position in range(length)]
        elif kind == "left":
            row = [position >= count for position in range(length)]
        elif kind == "holes":
            row = draw(st.lists(st.booleans(), min_size=length, max_size=length))
        elif kind == "one":
            row = [position == min(count, length - 1) for position in range(length)]
        else:
            row = [kind == "all"] * length
        rows.append(tuple(row))
    return tuple(rows)


@st.composite
def cases(draw: st.DrawFn, dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16, torch.float16)) -> Case:
    batch = draw(st.integers(1, 3))
    length = draw(st.sampled_from([1, 2, 3, 5, 8, 16, 17, 33, 70]))
    dtype = draw(st.sampled_from(dtypes))
    return Case(
        batch=batch,
        heads=draw(st.integers(1, 2)),
        length=length,
        head_dim=draw(st.sampled_from([16, 20, 24, 40, 64, 96, 128])),
        mask=draw(st.none() | masks(batch, length)),
        garbage=draw(st.sampled_from([0.0, 1.0, -3e4 if dtype == torch.float16 else 1e30])),
        dtype=dtype,
        seed=draw(st.integers(0, 2**16)),
    )
