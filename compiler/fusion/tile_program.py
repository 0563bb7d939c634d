"""One program of a stage in NumPy: what a kernel computes for one tile of what it owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from autobertc.compiler.fusion.plan import Plan
from autobertc.compiler.fusion.precision import PRECISIONS, Array, Precision
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
from autobertc.dsl.ops.base import Input
from autobertc.dsl.ops.expressions import evaluate
from autobertc.dsl.types import DN, ND, NN

LOWEST = np.finfo(np.float32).min


@dataclass(frozen=True)
class Blocks:
    """Tile sizes: tokens owned, tokens streamed, and into how many pieces a sum over all tokens is split."""

    owned: int = 32
    streamed: int = 16
    pieces: int = 2


@dataclass(frozen=True, eq=False)
class Launch:
    """What all programs of a plan share.

    Attributes:
        shape: batch, heads, N, D.
        mask: `[batch, N]`, True for real tokens, or None.
        precision, blocks: where values are rounded, and tile sizes.
        keeps: the dropout masks by site, `[batch, heads, N, N]`; none for no dropout.
    """

    shape: tuple[int, int, int, int]
    mask: Array | None
    precision: Precision = PRECISIONS["float32"]
    blocks: Blocks = Blocks()
    keeps: Mapping[int, Array] = field(default_factory=dict)


@dataclass(eq=False)
class TileProgram:
    """Runs the instructions of one program.

    Attributes:
        launch: shapes, masks and tile sizes, shared by all programs.
        plan: the plan of the stage.
        memory: values in memory, read and written.
        starts: the first token of each owned axis; that of the streamed axis while it runs.
        stop: where a piece of a state stage ends; None for the end of the sequence.
    """

    launch: Launch
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
        blocks, width = self.launch.blocks, self.launch.shape[3]
        if axis in "ij":
            return blocks.owned if axis == "i" else blocks.streamed
        return max(16, 1 << (width - 1).bit_length())

    def inside(self, axis: str) -> Array:
        """Which places of a tile's axis are real, `[batch, 1, size]`."""
        batch, _, length, width = self.launch.shape
        if axis not in "ij":
            return np.broadcast_to(np.arange(self.size(axis)) < width, (batch, 1, self.size(axis)))
        places = self.starts[axis] + np.arange(self.size(axis))
        limit = length if self.stop is None else min(length, self.stop)
        real = np.broadcast_to(places < limit, (batch, 1, len(places)))
        if self.launch.mask is None:
            return real
        known = self.launch.mask[:, np.minimum(places, length - 1)]
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
        return (*self.launch.shape[:2], *(self.size(axis) for axis in axes))

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
            factor = np.float32(it.sign * float(self.launch.shape[3]) ** (-it.power / 2))
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
            tiles[it.out] = product(left, right)
        elif isinstance(it, Fold):
            tiles[it.out] = tiles[it.operand].sum(axis=2 + it.operand.axes.index(it.axis))
        elif isinstance(it, FoldSoftmax):
            over = 2 + it.operand.axes.index(it.axis)
            largest = np.maximum(tiles[it.operand].max(axis=over), LOWEST)
            total = np.exp(tiles[it.operand] - np.expand_dims(largest, over)).sum(axis=over)
            tiles[it.out], tiles[it.inverse] = largest, inverse(total)
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
        rounding = self.launch.precision.narrow if tile.half and other.half else self.launch.precision.wide
        array = rounding(self.tiles[tile])
        return np.swapaxes(array, -1, -2) if turned else array

    def load(self, node: Node, axes: tuple[str, ...], turned: bool, part: int = 0) -> Array:
        length, width = self.launch.shape[2:]
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
        keep = self.launch.keeps.get(it.site)
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
        precision = self.launch.precision
        for part in it.sums:
            kept = weights if part.keep is None else weights * self.tiles[part.keep]
            left = (precision.narrow if part.values.half else precision.wide)(kept)
            right = (precision.narrow if part.values.half else precision.wide)(self.tiles[part.values])
            added = product(left, np.swapaxes(right, -1, -2) if part.values_turned else right)
            before = self.tiles.get(part.total, np.float32(0.0))
            self.tiles[part.total] = before * shrink[..., None] + added

    def _finish(self, it: OnlineSoftmax) -> None:
        largest, total = self.running[it.out]
        self.tiles[it.out], self.tiles[it.inverse] = largest, inverse(total)
        for part in it.sums:
            self.tiles[part.total] = self.tiles[part.total] * self.tiles[it.inverse][..., None]

    def store(self, it: Store) -> None:
        batch, heads, length, width = self.launch.shape
        axes = it.tile.axes
        values = self.tiles[it.tile]
        for axis in axes:
            if axis in "ij":
                values = np.where(self.place(axes, axis, self.inside(axis)), values, np.float32(0.0))
        precision = self.launch.precision
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


def product(left: Array, right: Array) -> Array:
    """A matrix product of tiles, rounded once: the order of its sums is a device's own business."""
    exact: Array = np.matmul(left.astype(np.float64), right.astype(np.float64))
    return exact.astype(np.float32)


def inverse(total: Array) -> Array:
    """One over a sum of exponentials, 0 where it is empty."""
    return np.where(total == 0.0, np.float32(0.0), np.float32(1.0) / total)
