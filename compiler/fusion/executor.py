"""A plan run tile by tile in NumPy: what a stage means, for readers and for tests of the planner and the derivatives.

All sequences and heads run at once, as leading axes of every array; tiles of tokens one after the other, as in a
kernel, with the same padding of tiles beyond the tokens and the features, the same masks and the same order of sums.
Arithmetic is float32; a product of tiles is exact until it is rounded. Values of a half-precision program are rounded
where a kernel rounds them: in memory, and as operands of matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autobertc.compiler.fusion.lowering import lower_stage
from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.precision import Array
from autobertc.compiler.fusion.shapes import is_statistic, unturned
from autobertc.compiler.fusion.tile_program import Launch, TileProgram, inverse, product
from autobertc.compiler.fusion.tiles import Tiled
from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import MatMul
from autobertc.dsl.ops.calculus import PairSum
from autobertc.dsl.ops.expressions import evaluate


@dataclass(eq=False)
class Executor:
    """Runs plans on arrays, each launch with the same shapes, masks and tile sizes."""

    launch: Launch

    def run(self, plan: Plan, given: Mapping[Node, Array]) -> dict[Node, Array]:
        """All values that the plan stores, and the given ones. Raises `MissingKernel`."""
        memory = dict(given)
        with np.errstate(all="ignore"):
            for stage in plan.stages:
                if stage.kind == "library":
                    self._library(stage, memory)
                else:
                    self._stage(plan, stage, lower_stage(plan, stage), memory)
        return memory

    def _library(self, stage: Stage, memory: dict[Node, Array]) -> None:
        (node,) = stage.targets
        # A call that is rare may be exact: comparisons of maps are summed in float64.
        operands = [_oriented(operand, memory).astype(np.float64) for operand in node.operands]
        if isinstance(node.op, MatMul):
            memory[node] = product(*operands)
        elif isinstance(node.op, PairSum):
            assert node.op.of.term is not None
            x, y = operands[0][..., :, None, :], operands[1][..., None, :, :]
            memory[node] = evaluate(np, node.op.of.term, {"x": x, "y": y}).sum(axis=-1).astype(np.float32)
        else:
            slope: str = node.op.of.term_slope  # type: ignore[attr-defined]
            x, y, w = operands
            values = evaluate(np, slope, {"x": x[..., :, None, :], "y": y[..., None, :, :]})
            memory[node] = (w[..., None] * values).sum(axis=-2).astype(np.float32)

    def _stage(self, plan: Plan, stage: Stage, code: Tiled, memory: dict[Node, Array]) -> None:
        length = self.launch.shape[2]
        owned = range(0, length, self.launch.blocks.owned) if "i" in code.axes else [0]
        if stage.kind == "map":
            pairs = [(i, j) for i in owned for j in range(0, length, self.launch.blocks.streamed)]
            for i, j in pairs:
                TileProgram(self.launch, plan, memory, {"i": i, "j": j}).run(code, [j])
        elif stage.kind == "state":
            size = -(-length // self.launch.blocks.pieces)
            parts: list[dict[Node, Array]] = []
            for start in range(0, length, size):
                part = TileProgram(self.launch, plan, dict(memory), {}, stop=start + size)
                part.run(code, list(range(start, min(start + size, length), self.launch.blocks.streamed)))
                parts.append(part.memory)
            for node in stage.targets:
                pieces = np.stack([part[node] for part in parts])
                memory[node] = _joined(pieces) if is_statistic(node) else pieces.sum(axis=0)
        else:
            steps = list(range(0, length, self.launch.blocks.streamed)) if stage.kind == "stream" else [0]
            for i in owned:
                TileProgram(self.launch, plan, memory, {"i": i}).run(code, steps)


def _oriented(node: Node, memory: Mapping[Node, Array]) -> Array:
    node, turned = unturned(node)
    return np.swapaxes(memory[node], -1, -2) if turned else memory[node]


def _joined(pieces: Array) -> Array:
    """The statistic of all pieces, `[pieces, batch, heads, 2, D]`."""
    largest = pieces[:, :, :, 0].max(axis=0)
    inverses = pieces[:, :, :, 1]
    sums = np.where(inverses == 0.0, np.float32(0.0), np.exp(pieces[:, :, :, 0] - largest) / inverses)
    return np.stack([largest, inverse(sums.sum(axis=0))], axis=2)
