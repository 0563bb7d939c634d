"""The NumPy stage executor as a differentiable function of tensors, to be checked like any backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from autobertc.compiler.fusion.executor import Executor
from autobertc.compiler.fusion.joint import Joint, plan_program
from autobertc.compiler.fusion.precision import PRECISIONS
from autobertc.compiler.fusion.tile_program import Blocks, Launch
from autobertc.dsl.graph import Program, make_node


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().numpy()


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, joint: Joint, executor: Executor, *inputs):
        given = {make_node(name): _array(value) for name, value in zip(joint.inputs, inputs, strict=True)}
        memory = executor.run(joint.forward, given)
        ctx.joint, ctx.executor, ctx.given = joint, executor, given
        ctx.kept = {leaf: memory[node] for node, leaf in joint.kept.values()}
        ctx.dtype = inputs[0].dtype
        result = memory[joint.forward.roots["result"]]
        return torch.from_numpy(np.array(result)).to(inputs[0].dtype)

    @staticmethod
    def backward(ctx, gradient):
        joint = ctx.joint
        leaf = next(node for node, name in joint.backward.names.items() if name == "gradient")
        memory = ctx.executor.run(joint.backward, {**ctx.given, **ctx.kept, leaf: _array(gradient)})
        roots = joint.backward.roots
        gradients = (torch.from_numpy(np.array(memory[roots[name]])).to(ctx.dtype) for name in joint.inputs)
        return None, None, *gradients


def executed(
    program: Program, blocks: Blocks | None = None, keeps: dict[int, np.ndarray] | None = None
) -> Callable[..., torch.Tensor]:
    """A program's plan as a function `f(*inputs, mask, dropout_p)`."""
    joint = plan_program(program)

    def function(*arguments):
        *inputs, mask, _ = arguments
        precision = PRECISIONS[str(inputs[0].dtype).removeprefix("torch.")]
        known = None if mask is None else mask.numpy()
        executor = Executor(Launch(tuple(inputs[0].shape), known, precision, blocks or Blocks(), keeps or {}))
        return _Function.apply(joint, executor, *inputs)

    return function
