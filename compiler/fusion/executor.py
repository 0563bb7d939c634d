"""A plan run tile by tile in NumPy: what a stage means, for readers and for tests of the planner and the derivatives.

All sequences and heads run at once, as leading axes of every array; tiles of tokens one after the other, as in a
kernel, with the same padding of tiles beyond the tokens and the features, the same masks and the same order of sums.
Arithmetic is float32; a product of tiles is exact until it is rounded. Values of a half-precision program are rounded
where a kernel rounds them: in memory, and as operands of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobertc.compiler.fusion.lowering import lower_stage
from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.shapes import is_statistic
from autobertc.compiler.fusion.tiles import (
    Accumulate,
    Compare,
    Dot,
    Draw,
    Expand,
    Fold,
    FoldSoftmax,
    Instruction,
    Load,
    Map,
    OnlineSoftmax,
    Scale,
    Select,
    Store,
    Tile,
    Tiled,
    Triple,
    Turn,
)
from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import Input, MatMul
from autobertc.dsl.ops.calculus import PairSum
from autobertc.dsl.ops.expressions import evaluate
from autobertc.dsl.types import DN, ND, NN

Array = NDArray[Any]
Rounding = Callable[[Array], Array]

LOWEST = np.finfo(np.float32).min


def round_bfloat16(x: Array) -> Array:
    """float32 values rounded to bfloat16, to nearest even."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x)


def round_float16(x: Array) -> Array:
    """float32 values rounded to float16."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def _exact(x: Array) -> Array:
    return x


@dataclass(frozen=True)
class Precision:
    """Where values are rounded: `rows` of tokens in memory between stages, `results`, and operands of products that do,
    or do not, fit float16."""

    rows: Rounding = _exact
    results: Rounding = _exact
    narrow: Rounding = _exact
    wide: Rounding = _exact


PRECISIONS = {
    "float32": Precision(),
    # float16 may overflow in values that a program's text does not have; such values stay wide.
    "float16": Precision(results=round_float16, narrow=round_float16),
    "bfloat16": Precision(round_bfloat16, round_bfloat16, round_bfloat16, round_bfloat16),
}


@dataclass(frozen=True)
class Blocks:
    """Tile sizes: tokens owned, tokens streamed, and into how many pieces a sum over all tokens is split."""

    owned: int = 32
    streamed: int = 16
    pieces: int = 2


@dataclass(eq=False)
class Executor:
    """Runs plans on arrays.

    Attributes:
        shape: batch, heads, N, D.
        mask: `[batch, N]`, True for real tokens, or None.
        keeps: the dropout masks by site, `[batch, heads, N, N]`; none for no dropout.
    """

    shape: tuple[int, int, int, int]
    mask: Array | None
    precision: Precision = PRECISIONS["float32"]
    blocks: Blocks = Blocks()
    keeps: Mapping[int, Array] = field(default_factory=dict)

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
        operands = [_oriented(operand, memory) for operand in node.operands]
        if isinstance(node.op, MatMul):
            memory[node] = _product(*operands)
        elif isinstance(node.op, PairSum):
            assert node.op.of.term is not None
            x, y = operands[0][..., :, None, :], operands[1][..., None, :, :]
            memory[node] = evaluate(np, node.op.of.term, {"x": x, "y": y}).sum(axis=-1)
        else:
            slope: str = node.op.of.term_slope  # type: ignore[attr-defined]
            x, y, w = operands
            values = evaluate(np, slope, {"x": x[..., :, None, :], "y": y[..., None, :, :]})
            memory[node] = (w[..., None] * values).sum(axis=-2)

    def _stage(self, plan: Plan, stage: Stage, code: Tiled, memory: dict[Node, Array]) -> None:
        length = self.shape[2]
        owned = range(0, length, self.blocks.owned) if "i" in code.axes else [0]
        if stage.kind == "map":
            pairs = [(i, j) for i in owned for j in range(0, length, self.blocks.streamed)]
            for i, j in pairs:
                _Program(self, plan, memory, {"i": i, "j": j}).run(code, [j])
        elif stage.kind == "state":
            size = -(-length // self.blocks.pieces)
            parts: list[dict[Node, Array]] = []
            for start in range(0, length, size):
                part = _Program(self, plan, dict(memory), {}, stop=start + size)
                part.run(code, list(range(start, min(start + size, length), self.blocks.streamed)))
                parts.append(part.memory)
            for node in stage.targets:
                pieces = np.stack([part[node] for part in parts])
                memory[node] = _joined(pieces) if is_statistic(node) else pieces.sum(axis=0)
        else:
            steps = list(range(0, length, self.blocks.streamed)) if stage.kind == "stream" else [0]
            for i in owned:
                _Program(self, plan, memory, {"i": i}).run(code, steps)


def _oriented(node: Node, memory: Mapping[Node, Array]) -> Array:
    turned = False
    while node not in memory:
        node, turned = node.operands[0], not turned
    return np.swapaxes(memory[node], -1, -2) if turned else memory[node]


@dataclass(eq=False)
class _Program:
    """One program of a stage: what a kernel computes for one tile of what it owns."""

    executor: Executor
    plan: Plan
    memory: dict[Node, Array]
    starts: dict[str, int]
    stop: int | None = None
    tiles: dict[Tile, Array] = field(default_factory=dict)
    running: dict[Tile, tuple[Array, Array]] = field(default_factory=dict)

    def run(self, code: Tiled, steps: list[int]) -> None:
        prologue, loop, epilogue = code.sections
        for instruction in prologue:
            self.execute(instruction)
        for j in steps if loop else []:
            self.starts["j"] = j
            for instruction in loop:
                self.execute(instruction)
        for instruction in loop:
            if isinstance(instruction, OnlineSoftmax):
                self._finish(instruction)
        for instruction in epilogue:
            self.execute(instruction)

    # ------------------------------------------------------------ axes

    def size(self, axis: str) -> int:
        blocks, width = self.executor.blocks, self.executor.shape[3]
        if axis in "ij":
            return blocks.owned if axis == "i" else blocks.streamed
        return max(16, 1 << (width - 1).bit_length())

    def inside(self, axis: str) -> Array:
        """Which places of a tile's axis are real, `[batch, 1, size]`."""
        batch, _, length, width = self.executor.shape
        if axis not in "ij":
            return np.broadcast_to(np.arange(self.size(axis)) < width, (batch, 1, self.size(axis)))
        places = self.starts[axis] + np.arange(self.size(axis))
        limit = length if self.stop is None else min(length, self.stop)
        real = np.broadcast_to(places < limit, (batch, 1, len(places)))
        if self.executor.mask is None:
            return real
        known = self.executor.mask[:, np.minimum(places, length - 1)]
        return real & known[:, None, :]

    def place(self, axes: tuple[str, ...], axis: str, values: Array) -> Array:
        """Values along one axis, shaped for a tile of several."""
        shape = [1] * len(axes)
        shape[axes.index(axis)] = values.shape[-1]
        return values.reshape(*values.shape[:-1], *shape)

    def aligned(self, tile: Tile, axes: tuple[str, ...]) -> Array:
        """A tile's array with an axis of size 1 for each that it lacks."""
        return self.spread(self.tiles[tile], tile.axes, axes)

    def spread(self, array: Array, own: tuple[str, ...], axes: tuple[str, ...]) -> Array:
        order = sorted(range(len(own)), key=lambda index: axes.index(own[index]))
        array = np.moveaxis(array, [2 + index for index in order], range(2, 2 + len(own)))
        for position, axis in enumerate(axes):
            if axis not in own:
                array = np.expand_dims(array, 2 + position)
        return array

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return (*self.executor.shape[:2], *(self.size(axis) for axis in axes))

    # ------------------------------------------------------------ instructions

    def execute(self, it: Instruction) -> None:
        tiles = self.tiles
        if isinstance(it, Load):
            tiles[it.out] = self.load(it.node, it.out.axes, it.turned, it.part)
        elif isinstance(it, Draw):
            tiles[it.out] = self.draw(it)
        elif isinstance(it, Map):
            given = {name: self.aligned(tile, it.out.axes) for name, tile in it.operands.items()}
            tiles[it.out] = evaluate(np, it.expression, given).astype(np.float32)
        elif isinstance(it, Scale):
            factor = np.float32(it.sign * float(self.executor.shape[3]) ** (-it.power / 2))
            tiles[it.out] = tiles[it.operand] * factor
        elif isinstance(it, Select):
            fill = np.float32(0.0 if it.fill == "zero" else -np.inf)
            result = tiles[it.operand]
            for axis in it.axes:
                result = np.where(self.place(it.out.axes, axis, self.inside(axis)), result, fill)
            tiles[it.out] = result
        elif isinstance(it, Expand):
            tiles[it.out] = np.broadcast_to(self.aligned(it.operand, it.out.axes), self.shape(it.out.axes))
        elif isinstance(it, Turn):
            array = tiles[it.operand]
            tiles[it.out] = np.swapaxes(array, -1, -2) if len(it.out.axes) == 2 else array
        elif isinstance(it, Dot):
            left, right = (
                self._factor(it.left, it.right, it.left_turned),
                self._factor(it.right, it.left, it.right_turned),
            )
            tiles[it.out] = _product(left, right)
        elif isinstance(it, Fold):
            tiles[it.out] = tiles[it.operand].sum(axis=2 + it.operand.axes.index(it.axis))
        elif isinstance(it, FoldSoftmax):
            over = 2 + it.operand.axes.index(it.axis)
            largest = np.maximum(tiles[it.operand].max(axis=over), LOWEST)
            total = np.exp(tiles[it.operand] - np.expand_dims(largest, over)).sum(axis=over)
            tiles[it.out], tiles[it.inverse] = largest, _inverse(total)
        elif isinstance(it, Triple):
            given = {name: self.spread(tiles[tile], own, it.labels) for name, (tile, own) in it.operands.items()}
            tiles[it.out] = evaluate(np, it.expression, given).sum(axis=2 + it.labels.index(it.over))
        elif isinstance(it, Compare):
            self._compare(it)
        elif isinstance(it, Accumulate):
            tiles[it.total] = tiles.get(it.total, np.float32(0.0)) + tiles[it.operand]
        elif isinstance(it, OnlineSoftmax):
            self._online(it)
        else:
            self.store(it)

    def _factor(self, tile: Tile, other: Tile, turned: bool) -> Array:
        rounding = self.executor.precision.narrow if tile.half and other.half else self.executor.precision.wide
        array = rounding(self.tiles[tile])
        return np.swapaxes(array, -1, -2) if turned else array

    def load(self, node: Node, axes: tuple[str, ...], turned: bool, part: int = 0) -> Array:
        length, width = self.executor.shape[2:]
        array = self.memory[node]
        if is_statistic(node):
            array = array[:, :, part]
        if turned and node.type.rows == node.type.columns:
            array = np.swapaxes(array, -1, -2)
        result = np.zeros(self.shape(axes), dtype=np.float32)
        window: list[slice] = []
        for axis in axes:
            start = self.starts[axis] if axis in "ij" else 0
            count = min(self.size(axis), (length if axis in "ij" else width) - start)
            window.append(slice(start, start + max(count, 0)))
        piece = array[(slice(None), slice(None), *window)]
        result[(slice(None), slice(None), *(slice(0, size) for size in piece.shape[2:]))] = piece
        for axis in axes:
            result = np.where(self.place(axes, axis, self.inside(axis)), result, np.float32(0.0))
        return result

    def draw(self, it: Draw) -> Array:
        keep = self.executor.keeps.get(it.site)
        if keep is None:
            return np.ones(self.shape(it.out.axes), dtype=np.float32)
        if it.turned:
            keep = np.swapaxes(keep, -1, -2)
        result = np.ones(self.shape(it.out.axes), dtype=np.float32)
        rows, columns = (slice(self.starts[axis], self.starts[axis] + self.size(axis)) for axis in it.out.axes)
        piece = keep[..., rows, columns]
        result[..., : piece.shape[-2], : piece.shape[-1]] = piece
        return result

    def _compare(self, it: Compare) -> None:
        assert it.of.term is not None
        rows, columns = it.labels
        x = self.load(it.x, (rows, "d") if rows in "ij" else ("d", "e"), it.x_turned)
        y = self.load(it.y, (columns, "d") if columns in "ij" else ("d", "e"), it.y_turned)
        terms = evaluate(np, it.of.term, {"x": x[..., :, None, :], "y": y[..., None, :, :]})
        result = terms.sum(axis=-1)
        self.tiles[it.out] = result if (rows, columns) == it.out.axes else np.swapaxes(result, -1, -2)

    def _online(self, it: OnlineSoftmax) -> None:
        scores = self.tiles[it.scores]
        axis = 2 + it.scores.axes.index(it.over)
        start = np.full(scores.max(axis=axis).shape, LOWEST, dtype=np.float32)
        largest, total = self.running.get(it.out, (start, np.zeros_like(start)))
        now = np.maximum(largest, scores.max(axis=axis))
        shrink = np.exp(largest - now)
        weights = np.exp(scores - np.expand_dims(now, axis))
        self.running[it.out] = now, total * shrink + weights.sum(axis=axis)
        precision = self.executor.precision
        for part in it.sums:
            kept = weights if part.keep is None else weights * self.tiles[part.keep]
            left = (precision.narrow if part.values.half else precision.wide)(kept)
            right = (precision.narrow if part.values.half else precision.wide)(self.tiles[part.values])
            added = _product(left, np.swapaxes(right, -1, -2) if part.values_turned else right)
            before = self.tiles.get(part.total, np.float32(0.0))
            self.tiles[part.total] = before * shrink[..., None] + added

    def _finish(self, it: OnlineSoftmax) -> None:
        largest, total = self.running[it.out]
        self.tiles[it.out], self.tiles[it.inverse] = largest, _inverse(total)
        for part in it.sums:
            self.tiles[part.total] = self.tiles[part.total] * self.tiles[it.inverse][..., None]

    def store(self, it: Store) -> None:
        batch, heads, length, width = self.executor.shape
        axes = it.tile.axes
        values = self.tiles[it.tile]
        for axis in axes:
            if axis in "ij":
                values = np.where(self.place(axes, axis, self.inside(axis)), values, np.float32(0.0))
        precision = self.executor.precision
        if it.node in self.plan.roots.values():
            values = precision.results(values)
        elif it.node.type in (ND, DN) and not isinstance(it.node.op, Input):
            values = precision.rows(values)
        if it.node not in self.memory:
            sizes = [length if axis in "ij" else width for axis in axes]
            parts = (2,) if is_statistic(it.node) else ()
            self.memory[it.node] = np.zeros((batch, heads, *parts, *sizes), dtype=np.float32)
        target = self.memory[it.node]
        if is_statistic(it.node):
            target = target[:, :, it.part]
        if it.turned and it.node.type == NN:
            target = np.swapaxes(target, -1, -2)
        window = tuple(
            slice(self.starts[axis], min(self.starts[axis] + self.size(axis), length))
            if axis in "ij"
            else slice(0, width)
            for axis in axes
        )
        piece = target[(slice(None), slice(None), *window)]
        piece[...] = values[(slice(None), slice(None), *(slice(0, size) for size in piece.shape[2:]))]


def _product(left: Array, right: Array) -> Array:
    """A matrix product of tiles, rounded once: the order of its sums is a device's own business."""
    exact: Array = np.matmul(left.astype(np.float64), right.astype(np.float64))
    return exact.astype(np.float32)


def _inverse(total: Array) -> Array:
    """One over a sum of exponentials, 0 where it is empty."""
    return np.where(total == 0.0, np.float32(0.0), np.float32(1.0) / total)


def _joined(pieces: Array) -> Array:
    """The statistic of all pieces, `[pieces, batch, heads, 2, D]`."""
    largest = pieces[:, :, :, 0].max(axis=0)
    inverse = pieces[:, :, :, 1]
    sums = np.where(inverse == 0.0, np.float32(0.0), np.exp(pieces[:, :, :, 0] - largest) / inverse)
    return np.stack([largest, _inverse(sums.sum(axis=0))], axis=2)
