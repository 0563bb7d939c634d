"""The instructions that a stage is made of: operations on tiles, the same for every backend.

A stage is three lists: `prologue` once for each tile of what it owns, `loop` for each tile that it streams, `epilogue`
after the last. A tile has named axes (`requests.py`) and knows along which of them it is 0 wherever there is no token,
or no feature: past the end, or under the padding mask. Sums over an axis take tiles that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import Pairwise

PROLOGUE, LOOP, EPILOGUE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile: its name, its axes in memory order, where it is computed, and along which axes it is 0 outside.

    `half` says that its values fit float16: a program's inputs, and attention weights.
    """

    name: str
    axes: tuple[str, ...]
    section: int
    zero: frozenset[str] = frozenset()
    half: bool = False


@dataclass(frozen=True, eq=False)
class Load:
    """A tile of a value in memory; 0 outside. `turned`: the value's rows are the tile's last axis.

    Of a softmax statistic, `part` 0 is the maxima and 1 the inverse sums.
    """

    out: Tile
    node: Node
    turned: bool
    part: int = 0


@dataclass(frozen=True, eq=False)
class Draw:
    """A tile of a dropout mask; `turned` where the mask's rows, the queries, are the tile's last axis."""

    out: Tile
    site: int
    turned: bool


@dataclass(frozen=True, eq=False)
class Map:
    """An expression of `expressions.py` on tiles, broadcast to the axes that any of them has."""

    out: Tile
    expression: str
    operands: Mapping[str, Tile]


@dataclass(frozen=True, eq=False)
class Scale:
    """`sign * D^(-power/2)` times a tile."""

    out: Tile
    operand: Tile
    sign: int
    power: int


@dataclass(frozen=True, eq=False)
class Select:
    """A tile with `fill` in the place of what is outside, along the named axes."""

    out: Tile
    operand: Tile
    axes: tuple[str, ...]
    fill: Literal["zero", "minus_infinity"] = "zero"


@dataclass(frozen=True, eq=False)
class Expand:
    """A tile repeated along the axes it lacks."""

    out: Tile
    operand: Tile


@dataclass(frozen=True, eq=False)
class Turn:
    """A tile of features with its axes exchanged: a matrix transposed, a vector along the other axis."""

    out: Tile
    operand: Tile


@dataclass(frozen=True, eq=False)
class Dot:
    """A matrix product of two tiles, each transposed first where it is `turned`."""

    out: Tile
    left: Tile
    left_turned: bool
    right: Tile
    right_turned: bool


@dataclass(frozen=True, eq=False)
class Fold:
    """The sum of a tile along one of its axes."""

    out: Tile
    operand: Tile
    axis: str


@dataclass(frozen=True, eq=False)
class FoldSoftmax:
    """The statistic of a tile along one of its axes: `out` the maxima, `inverse` one over the sums."""

    out: Tile
    inverse: Tile
    operand: Tile
    axis: str


@dataclass(frozen=True, eq=False)
class Triple:
    """An expression over three axes, summed over one. Each operand: its tile and its labels in memory order."""

    out: Tile
    expression: str
    operands: Mapping[str, tuple[Tile, tuple[str, ...]]]
    labels: tuple[str, ...]
    over: str


@dataclass(frozen=True, eq=False)
class Compare:
    """The sum of a comparison's terms over features, the rows read from memory a few coordinates at a time.

    `x` and `y` are values in memory, `turned` where their rows in memory are the features; `labels` their rows' axes.
    """

    out: Tile
    of: Pairwise
    x: Node
    x_turned: bool
    y: Node
    y_turned: bool
    labels: tuple[str, str]


@dataclass(frozen=True, eq=False)
class Accumulate:
    """Adds a tile of the loop to a sum that starts at 0."""

    total: Tile
    operand: Tile


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """A product summed beside an online softmax: its total, the dropout mask of the weights if any, the values."""

    total: Tile
    keep: Tile | None
    values: Tile
    values_turned: bool


@dataclass(frozen=True, eq=False)
class OnlineSoftmax:
    """One pass over scores, `over` the streamed axis: running maximum and sum of exponentials, and sums with weights.

    `scores` are minus infinity outside. After the loop `out` is the maxima and `inverse` one over the sums, 0 where
    there was no token, by which the totals have been multiplied.
    """

    out: Tile
    inverse: Tile
    scores: Tile
    over: str
    sums: tuple[WeightedSum, ...]


@dataclass(frozen=True, eq=False)
class Store:
    """Writes a value; 0 outside along the sequence axes. `part` as for `Load`."""

    node: Node
    tile: Tile
    turned: bool
    part: int = 0


Instruction = (
    Load
    | Draw
    | Map
    | Scale
    | Select
    | Expand
    | Turn
    | Dot
    | Fold
    | FoldSoftmax
    | Triple
    | Compare
    | Accumulate
    | OnlineSoftmax
    | Store
)


@dataclass(eq=False)
class Tiled:
    """A stage as instructions.

    Attributes:
        axes: which axes the stage has.
        sections: prologue, loop and epilogue.
    """

    axes: frozenset[str] = frozenset()
    sections: tuple[list[Instruction], list[Instruction], list[Instruction]] = field(
        default_factory=lambda: ([], [], [])
    )

    @property
    def instructions(self) -> list[Instruction]:
        return [instruction for section in self.sections for instruction in section]
