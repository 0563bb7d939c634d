"""Each tile instruction as Triton statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autobertc.compiler.fusion.plan import Plan, Stage
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
from autobertc.dsl.ops.expressions import FUNCTIONS, substitute
from autobertc.dsl.types import DD, NN

BLOCKS = {"i": "BLOCK_I", "j": "BLOCK_J", "d": "BLOCK_D", "e": "BLOCK_D", "f": "BLOCK_D"}
# Functions of expressions that the kernels' own module has; the others are Triton's.
OWN_FUNCTIONS = ("log1p", "tanh")
_FUNCTIONS = {name: name if name in OWN_FUNCTIONS else f"tl.{name}" for name in FUNCTIONS}
_SIMPLE = re.compile(r"\w+(\[[\w:, ]*\])?")


def is_external(plan: Plan, node: Node) -> bool:
    """Whether a buffer is a tensor of the caller's, of any strides: inputs, the incoming gradient, results."""
    return isinstance(node.op, Input) or plan.names[node] in ("gradient", "result") or node in plan.roots.values()


@dataclass(eq=False)
class Statements:
    """Writes the statements of one stage; `helpers` are the functions of kernel_functions.py that they call."""

    plan: Plan
    stage: Stage
    code: Tiled
    lines: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    deferred: dict[Tile, Dot] = field(default_factory=dict)

    # ------------------------------------------------------------ names

    def call(self, helper: str, *arguments: str) -> str:
        self.helpers.add(helper)
        return f"{helper}({', '.join(arguments)})"

    def tile(self, tile: Tile, axes: tuple[str, ...]) -> str:
        """A tile's name, with an index that broadcasts it to more axes."""
        if not tile.axes or tile.axes == axes or len(axes) < 2:
            return tile.name
        return f"{tile.name}[{', '.join(':' if axis in tile.axes else 'None' for axis in axes)}]"

    def real(self, axis: str, axes: tuple[str, ...]) -> str:
        name = f"real_{'d' if axis in 'def' else axis}"
        if len(axes) == 1:
            return name
        return f"{name}[{', '.join(':' if other == axis else 'None' for other in axes)}]"

    def places(self, axis: str) -> str:
        return "d" if axis in "def" else axis

    def zeros(self, axes: tuple[str, ...]) -> str:
        sizes = [BLOCKS[axis] for axis in axes]
        return f"tl.zeros(({', '.join(sizes)}{',' if len(sizes) == 1 else ''}), tl.float32)"

    def expression(self, text: str, operands: Mapping[str, str]) -> str:
        self.helpers.update(name for name in OWN_FUNCTIONS if re.search(rf"\b{name}\(", text))
        return substitute(text, {**_FUNCTIONS, **operands})

    def rows(self, node: Node) -> tuple[str, str]:
        """The pointer to this head's rows, and their stride."""
        name = self.plan.names[node]
        return f"{name}_rows", (f"{name}_n" if is_external(self.plan, node) else "D")

    # ------------------------------------------------------------ instructions

    def write(self, it: Instruction) -> list[str]:
        if isinstance(it, Load):
            return [f"{it.out.name} = {self._load(it)}"]
        if isinstance(it, Draw):
            rows, columns = (self.places(axis) for axis in (it.out.axes[::-1] if it.turned else it.out.axes))
            first, second = ("[None, :]", "[:, None]") if it.turned else ("[:, None]", "[None, :]")
            drawn = self.call(
                "keep_mask", "seed", str(it.site), "pair", f"{rows}{first}", f"{columns}{second}", "N", "dropout_p"
            )
            name = it.out.name
            return [f"{name} = 1.0", "if DROPOUT:", f"    {name} = {drawn}"]
        if isinstance(it, Map):
            operands = {}
            for name, tile in it.operands.items():
                text = self.tile(tile, it.out.axes)
                operands[name] = text if _SIMPLE.fullmatch(text) else f"({text})"
            return [f"{it.out.name} = {self.expression(it.expression, operands)}"]
        if isinstance(it, Scale):
            return [f"{it.out.name} = {self._scaled(it)}"]
        if isinstance(it, Select):
            return self._select(it)
        if isinstance(it, Expand):
            return [f"{it.out.name} = {self.zeros(it.out.axes)} + {self.tile(it.operand, it.out.axes)}"]
        if isinstance(it, Turn):
            turned = f"tl.trans({it.operand.name})" if len(it.out.axes) == 2 else it.operand.name
            return [f"{it.out.name} = {turned}"]
        if isinstance(it, Dot):
            if it.out in self.deferred:
                return []
            return [f"{it.out.name} = tl.dot({self._factors(it)}, input_precision=PRECISION)"]
        if isinstance(it, Fold):
            return [f"{it.out.name} = tl.sum({it.operand.name}, axis={it.operand.axes.index(it.axis)})"]
        if isinstance(it, FoldSoftmax):
            statistic = self.call("softmax_statistic", it.operand.name, str(it.operand.axes.index(it.axis)))
            return [f"{it.out.name}, {it.inverse.name} = {statistic}"]
        if isinstance(it, Triple):
            return self._triple(it)
        if isinstance(it, Compare):
            return self._compare(it)
        if isinstance(it, Accumulate):
            return self._accumulate(it)
        if isinstance(it, OnlineSoftmax):
            return self._online(it)
        return self._store(it)

    def _load(self, it: Load) -> str:
        node, axes, name = it.node, it.out.axes, self.plan.names[it.node]
        if len(axes) == 1:
            pointer = f"{name}_rows{self.part(it.part, axes[0])}"
            return self.call("load_values", pointer, self.places(axes[0]), self.real(axes[0], axes))
        if node.type in (NN, DD):
            side = "N" if node.type == NN else "D"
            strides = ("1", side) if it.turned else (side, "1")
            places = [self.places(axis) for axis in axes]
            real = [self.real(axis, (axis,)) for axis in axes]
            return self.call("load_square", f"{name}_rows", *places, *strides, *real)
        pointer, stride = self.rows(node)
        return self.call("load_rows", pointer, axes[0], stride, self.real(axes[0], (axes[0],)), "D", "BLOCK_D")

    def part(self, part: int, axis: str) -> str:
        """Where the second half of a softmax statistic lies."""
        return "" if part == 0 else f" + {'N' if axis in 'ij' else 'D'}"

    def _scaled(self, it: Scale) -> str:
        sign = "-" if it.sign < 0 else ""
        if not it.power:
            return f"{sign}{it.operand.name}"
        power = "ROOT" if it.power == 1 else f"ROOT**{it.power}"
        return f"{it.operand.name} * ({sign}{power})" if sign else f"{it.operand.name} * {power}"

    def _select(self, it: Select) -> list[str]:
        name, (axis,) = it.out.name, it.axes
        fill = "0.0" if it.fill == "zero" else 'float("-inf")'
        condition = "D < BLOCK_D" if axis in "def" else "not FULL"
        where = f"tl.where({self.real(axis, it.out.axes)}, {it.operand.name}, {fill})"
        return [f"{name} = {it.operand.name}", f"if {condition}:", f"    {name} = {where}"]

    def _factor(self, tile: Tile, turned: bool, kind: str) -> str:
        text = self.call(kind, tile.name, "DTYPE")
        return f"tl.trans({text})" if turned else text

    def _factors(self, it: Dot) -> str:
        kind = "half" if it.left.half and it.right.half else "wide"
        return f"{self._factor(it.left, it.left_turned, kind)}, {self._factor(it.right, it.right_turned, kind)}"

    def _triple(self, it: Triple) -> list[str]:
        operands = {}
        for name, (tile, labels) in it.operands.items():
            order = sorted(labels, key=it.labels.index)
            text = f"tl.trans({tile.name})" if tuple(order) != labels else tile.name
            operands[name] = f"{text}[{', '.join(':' if axis in labels else 'None' for axis in it.labels)}]"
        value = self.expression(it.expression, operands)
        return [f"{it.out.name} = tl.sum({value}, axis={it.labels.index(it.over)})"]

    def _compare(self, it: Compare) -> list[str]:
        assert it.of.term is not None
        lines = [f"{it.out.name} = {self.zeros(it.out.axes)}", "for c in range(0, BLOCK_D, CHUNK):"]
        lines.append("    coordinates = c + tl.arange(0, CHUNK)")
        parts = {}
        for name, node, turned, axis in (
            ("x", it.x, it.x_turned, it.labels[0]),
            ("y", it.y, it.y_turned, it.labels[1]),
        ):
            pointer, stride = self.rows(node)
            strides = ("1", "D") if turned else (stride, "1")
            real = self.real(axis, (axis,))
            loaded = self.call(
                "load_square", pointer, self.places(axis), "coordinates", *strides, real, "coordinates < D"
            )
            part = f"{name}_{it.out.name}"
            lines.append(f"    {part} = {loaded}")
            spread = ", ".join(":" if other == axis else "None" for other in it.out.axes)
            parts[name] = f"{part}[{spread}, :]"
        term = self.expression(it.of.term, parts)
        lines.append(f"    {it.out.name} += tl.sum({term}, axis=2)")
        return lines

    def _accumulate(self, it: Accumulate) -> list[str]:
        dot = self.deferred.get(it.operand)
        if dot is None:
            return [f"{it.total.name} += {it.operand.name}"]
        name = it.total.name
        return [f"{name} = tl.dot({self._factors(dot)}, {name}, input_precision=PRECISION)"]

    def _online(self, it: OnlineSoftmax) -> list[str]:
        stem, axis = it.scores.name, it.scores.axes.index(it.over)
        wide = "[None, :]" if axis == 0 else "[:, None]"
        lines = [
            f"{stem}_now = tl.maximum({it.out.name}, tl.max({stem}, axis={axis}))",
            f"{stem}_shrink = tl.exp({it.out.name} - {stem}_now)",
            f"{stem}_weights = tl.exp({stem} - {stem}_now{wide})",
            f"{stem}_sum = {stem}_sum * {stem}_shrink + tl.sum({stem}_weights, axis={axis})",
            f"{it.out.name} = {stem}_now",
        ]
        for part in it.sums:
            kind = "half" if part.values.half else "wide"
            weights = f"{stem}_weights" if part.keep is None else f"{stem}_weights * {part.keep.name}"
            weights = self.call(kind, weights, "DTYPE")
            values = self._factor(part.values, part.values_turned, kind)
            name = part.total.name
            shrunk = f"{name} * {stem}_shrink[:, None]"
            lines.append(f"{name} = tl.dot({weights}, {values}, {shrunk}, input_precision=PRECISION)")
        return lines

    def _store(self, it: Store) -> list[str]:
        node, axes, name, tile = it.node, it.tile.axes, self.plan.names[it.node], it.tile.name
        pointer, stride = self.rows(node)
        if self.stage.kind == "state":
            pointer = f"{name}_piece"
        if len(axes) == 1:
            count = "N" if axes[0] in "ij" else "D"
            place = self.places(axes[0])
            pointer += self.part(it.part, axes[0])
            line = self.call("store_values", pointer, place, self.real(axes[0], axes), count, tile)
        elif node.type in (NN, DD):
            side = "N" if node.type == NN else "D"
            strides = ("1", side) if it.turned else (side, "1")
            places = [self.places(axis) for axis in axes]
            real = [self.real(axis, (axis,)) for axis in axes]
            line = self.call("store_square", pointer, *places, *strides, *real, side, side, tile)
        else:
            line = self.call(
                "store_rows", pointer, axes[0], stride, self.real(axes[0], (axes[0],)), "N", tile, "D", "BLOCK_D"
            )
        if self.plan.names[node].startswith("kept_"):
            return [f"if {name} is not None:", f"    {line}"]
        return [line]

    # ------------------------------------------------------------ the kernel

    def initial(self) -> list[str]:
        """Sums before the loop."""
        lines = []
        for it in self.code.sections[1]:
            if isinstance(it, Accumulate):
                lines.append(f"{it.total.name} = {self.zeros(it.total.axes)}")
            elif isinstance(it, OnlineSoftmax):
                self.helpers.add("LOWEST")
                lines.append(f"{it.out.name} = {self.zeros(it.out.axes)} + LOWEST")
                lines.append(f"{it.scores.name}_sum = {self.zeros(it.out.axes)}")
                lines += [f"{part.total.name} = {self.zeros(part.total.axes)}" for part in it.sums]
        return lines

    def final(self) -> list[str]:
        """After the loop: sums of weights become means."""
        lines = []
        for it in self.code.sections[1]:
            if isinstance(it, OnlineSoftmax):
                lines.append(f"{it.inverse.name} = {self.call('inverse', f'{it.scores.name}_sum')}")
                lines += [f"{part.total.name} = {part.total.name} * {it.inverse.name}[:, None]" for part in it.sums]
        return lines

    def defer(self) -> None:
        """Products that are only added to a sum are computed into it."""
        uses: dict[Tile, int] = {}
        for it in self.code.instructions:
            for tile in _operands(it):
                uses[tile] = uses.get(tile, 0) + 1
        products = {it.out: it for it in self.code.instructions if isinstance(it, Dot)}
        for it in self.code.instructions:
            if isinstance(it, Accumulate) and it.operand in products and uses[it.operand] == 1:
                self.deferred[it.operand] = products[it.operand]


def _operands(it: Instruction) -> Iterable[Tile]:
    if isinstance(it, Map):
        return it.operands.values()
    if isinstance(it, Dot):
        return (it.left, it.right)
    if isinstance(it, Triple):
        return (tile for tile, _ in it.operands.values())
    if isinstance(it, OnlineSoftmax):
        return (it.scores, *(part.values for part in it.sums))
    if isinstance(it, Store):
        return (it.tile,)
    if isinstance(it, Scale | Select | Expand | Turn | Fold | Accumulate):
        return (it.operand,)
    return ()
