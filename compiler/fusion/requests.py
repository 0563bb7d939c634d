"""How a tile of a value is made from tiles of its operands: which axes each operand is asked for.

A stage names its axes: `i` the tokens it owns, `j` the tokens it streams, `d` and `e` the features. A tile of a value
is a request (node, axis of its rows, axis of its columns); the same score product is computed for (i, j) and for
(j, i) by the same rules with the roles exchanged. Tiles lie in memory in the order i, j, d, e whatever is rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import Input, MatMul, Transpose
from autobertc.dsl.ops.calculus import Broadcast, Leaf, PairGradient, PairSum, Reduction

ORDER = "ijdef"
FEATURES = "def"


@dataclass(frozen=True)
class Request:
    """A tile: of which node, under which names its axes go. The axis of a statistic's columns is None."""

    node: Node
    rows: str | None
    columns: str | None

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes in the order in which the tile lies in memory."""
        return stored(self.rows, self.columns)


def stored(*axes: str | None) -> tuple[str, ...]:
    """Axis names in memory order."""
    return tuple(sorted((axis for axis in axes if axis), key=ORDER.index))


@dataclass(frozen=True)
class Operand:
    """An operand of a contraction: its tile, and the contraction's names for the tile's axes in memory order."""

    request: Request
    labels: tuple[str, ...]


def operand(node: Node, rows: str, columns: str) -> Operand:
    """The tile for a matrix whose axes a contraction calls `rows` and `columns`.

    A features axis is `d` to every tile that has one, and `d`, `e` in that order to one that has two: what it is
    called by one consumer must not make it another tile.
    """
    features = [axis in FEATURES for axis in (rows, columns)]
    if all(features):
        return Operand(Request(node, "d", "e"), (rows, columns))
    request = Request(node, "d" if features[0] else rows, "d" if features[1] else columns)
    return Operand(request, stored(rows, columns))


def spare(*used: str | None) -> str:
    """A features axis that is not in use."""
    return next(axis for axis in FEATURES if axis not in used)


def contraction(request: Request, inner: str) -> list[Operand]:
    """The operands of a contraction, `inner` the axis that is summed over."""
    node, r, c = request.node, request.rows, request.columns
    assert r is not None
    x = node.operands[0]
    if isinstance(node.op, Reduction):
        # One operand keeps its orientation: the axis of the statistic decides it.
        return [Operand(Request(x, r, inner), stored(r, inner))]
    assert c is not None
    if isinstance(node.op, MatMul):
        return [operand(x, r, inner), operand(node.operands[1], inner, c)]
    if isinstance(node.op, PairSum):
        return [operand(x, r, inner), operand(node.operands[1], c, inner)]
    assert isinstance(node.op, PairGradient)
    y, w = node.operands[1:]
    return [operand(x, r, c), operand(y, inner, c), operand(w, r, inner)]


def operands(request: Request) -> list[Operand]:
    """The tiles that a tile is computed from, where nothing of it is in memory and no sum over tokens is in it."""
    node, r, c = request.node, request.rows, request.columns
    if isinstance(node.op, Input | Leaf):
        return []
    if isinstance(node.op, Transpose):
        return [Operand(Request(node.operands[0], c, r), request.axes)]
    if isinstance(node.op, Broadcast):
        return [Operand(Request(node.operands[0], r, None), stored(r))]
    if isinstance(node.op, MatMul | Reduction | PairSum | PairGradient):
        return contraction(request, spare(r, c))
    return [Operand(Request(below, r, c), request.axes) for below in node.operands]
