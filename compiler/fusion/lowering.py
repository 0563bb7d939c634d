"""From a stage to instructions on tiles."""

from __future__ import annotations

import numpy as np

from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.planner import is_given, target_operands, target_request
from autobertc.compiler.fusion.requests import Operand, Request, contraction, operands, stored
from autobertc.compiler.fusion.shapes import contracts_sequence, is_statistic, peeled, unturned
from autobertc.compiler.fusion.tiles import (
    EPILOGUE,
    LOOP,
    PROLOGUE,
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
    WeightedSum,
)
from autobertc.dsl.graph import Node
from autobertc.dsl.ops.base import Add, Elementwise, ElementwiseBinary, Factor, Input, MatMul, Transpose
from autobertc.dsl.ops.calculus import (
    Broadcast,
    Keep,
    MissingKernel,
    PairGradient,
    PairSum,
    Reduction,
    Weights,
)
from autobertc.dsl.ops.expressions import evaluate
from autobertc.dsl.types import DD

# Values that an operand may have where it is not known to be 0.
_SAMPLES = (0.7, -1.3, 2.1)
MAX_TERMS = 50


class _Lowering:
    def __init__(self, plan: Plan, stage: Stage) -> None:
        self.plan, self.stage = plan, stage
        self.streams = stage.kind in ("stream", "state")
        self.code = Tiled()
        self.tiles: dict[Request, Tile] = {}
        self.done: dict[Node, Tile] = {}
        self.selected: dict[tuple[Tile, str, str], Tile] = {}
        # The inverse sums of a softmax statistic, by the tile of its maxima.
        self.inverses: dict[Tile, Tile] = {}
        # A tile must not have the name of a buffer, which the kernel takes as an argument.
        self.taken = set(plan.names.values())
        self.counts: dict[str, int] = {}

    # ------------------------------------------------------------ tiles

    def new(
        self, stem: str, axes: tuple[str, ...], *given: Tile, zero: frozenset[str] = frozenset(), half: bool = False
    ) -> Tile:
        self.counts[stem] = self.counts.get(stem, 0) + 1
        while f"{stem}_{self.counts[stem]}" in self.taken:
            self.counts[stem] += 1
        section = max((tile.section for tile in given), default=PROLOGUE)
        if self.streams and "j" in axes:
            section = LOOP
        return Tile(f"{stem}_{self.counts[stem]}", axes, section, zero, half)

    def emit(self, instruction: Instruction, section: int) -> None:
        self.code.sections[section].append(instruction)

    def tile(self, request: Request) -> Tile:
        """The tile of a request, instructions written for all it needs."""
        stack = [request]
        while stack:
            current = stack[-1]
            if current in self.tiles:
                stack.pop()
                continue
            needed = [] if self._is_at_hand(current.node) else operands(current)
            if isinstance(current.node.op, PairSum):
                needed = []
            waiting = [found.request for found in needed if found.request not in self.tiles]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                self.tiles[current] = self._make(current, needed)
                stack.pop()
        return self.tiles[request]

    def _is_at_hand(self, node: Node) -> bool:
        return node in self.done or is_given(node) or (node in self.plan.names and node not in self.stage.targets)

    def _make(self, request: Request, needed: list[Operand]) -> Tile:
        node, op, axes = request.node, request.node.op, request.axes
        if node in self.done:
            return self._turned(request)
        if self._is_at_hand(node):
            return self._load(request)
        tiles = [self.tiles[found.request] for found in needed]
        if isinstance(op, Transpose | Broadcast):
            return tiles[0]
        if isinstance(op, Keep):
            tile = self.new("keep", axes)
            self.emit(Draw(tile, op.site, (request.rows, request.columns) != axes), tile.section)
            return tile
        if isinstance(op, Factor):
            tile = self.new(op.name, tiles[0].axes, *tiles, zero=tiles[0].zero)
            self.emit(Scale(tile, tiles[0], op.sign, op.power), tile.section)
            return tile
        if isinstance(op, Add):
            return self._add(tiles)
        if isinstance(op, Elementwise | ElementwiseBinary):
            if op.kernel is None:
                raise MissingKernel(op, "kernel")
            given = dict(zip("xy", tiles, strict=False))
            if tiles[-1] in self.inverses:
                given["z"] = self.inverses[tiles[-1]]
            return self._map(op.name, op.kernel, given, isinstance(op, Weights))
        if isinstance(op, PairSum):
            return self._compare(request)
        return self._contract(request, needed, _inner(request, needed))

    def _turned(self, request: Request) -> Tile:
        """A value that this stage has made, its features under the names that a request has for them."""
        known = target_request(request.node)
        tile = self.done[request.node]
        if (request.rows, request.columns) == (known.rows, known.columns) or "i" in request.axes:
            return tile
        axes = tuple({"d": "e", "e": "d"}[axis] for axis in tile.axes)
        out = self.new("turned", stored(*axes), tile, zero=frozenset({"d": "e", "e": "d"}[axis] for axis in tile.zero))
        self.emit(Turn(out, tile), out.section)
        if tile in self.inverses:
            self.inverses[out] = self.new("turned", out.axes, self.inverses[tile])
            self.emit(Turn(self.inverses[out], self.inverses[tile]), out.section)
        return out

    def _load(self, request: Request) -> Tile:
        node, axes = request.node, request.axes
        tile = self.new(self.plan.names[node].lower(), axes, zero=frozenset(axes), half=isinstance(node.op, Input))
        turned = len(axes) == 2 and (request.rows, request.columns) != axes
        self.emit(Load(tile, node, turned), tile.section)
        if is_statistic(node):
            self.inverses[tile] = self.new("inverse", axes, zero=frozenset(axes))
            self.emit(Load(self.inverses[tile], node, turned, part=1), tile.section)
        return tile

    def _add(self, tiles: list[Tile]) -> Tile:
        result = tiles[0]
        for start in range(1, len(tiles), MAX_TERMS):
            part = [result, *tiles[start : start + MAX_TERMS]]
            names = [f"x{index}" for index in range(len(part))]
            result = self._map("add", " + ".join(names), dict(zip(names, part, strict=True)))
        return result

    def _map(self, stem: str, expression: str, given: dict[str, Tile], half: bool = False) -> Tile:
        axes = stored(*{axis for tile in given.values() for axis in tile.axes})
        zero = frozenset(axis for axis in axes if _keeps_zero(expression, given, axis))
        tile = self.new(stem, axes, *given.values(), zero=zero, half=half)
        self.emit(Map(tile, expression, given), tile.section)
        return tile

    def full(self, tile: Tile, axes: tuple[str, ...]) -> Tile:
        """A tile with all the axes of a request: values that do not depend on one have not been repeated along it."""
        if tile.axes == axes:
            return tile
        wide = self.new("wide", axes, tile, zero=tile.zero, half=tile.half)
        self.emit(Expand(wide, tile), wide.section)
        return wide

    def select(self, tile: Tile, axis: str, fill: str = "zero") -> Tile:
        """A tile without what is outside along an axis."""
        if fill == "zero" and axis in tile.zero:
            return tile
        key = (tile, axis, fill)
        if key not in self.selected:
            zero = tile.zero | {axis} if fill == "zero" else frozenset()
            out = self.new("inside" if fill == "zero" else "scores", tile.axes, tile, zero=zero, half=tile.half)
            self.emit(Select(out, tile, (axis,), fill), out.section)  # type: ignore[arg-type]
            self.selected[key] = out
        return self.selected[key]

    # ------------------------------------------------------------ contractions

    def _operand(self, found: Operand) -> Tile:
        return self.full(self.tile(found.request), found.request.axes)

    def _contract(self, request: Request, needed: list[Operand], inner: str) -> Tile:
        """A contraction over `inner`: for a streamed axis the part that one tile of it adds."""
        op, axes = request.node.op, request.axes
        tiles = [self._operand(found) for found in needed]
        # What each operand's own tile calls the axis that is summed over.
        own = [
            dict(zip(found.labels, tile.axes, strict=True)).get(inner)
            for found, tile in zip(needed, tiles, strict=True)
        ]
        if isinstance(op, Reduction):
            assert own[0] is not None
            if op.kind == "softmax":
                scores = self.select(tiles[0], own[0], "minus_infinity")
                out = self.new("largest", axes, scores)
                self.inverses[out] = self.new("inverse", axes, scores)
                self.emit(FoldSoftmax(out, self.inverses[out], scores, own[0]), out.section)
                return out
            inside = self.select(tiles[0], own[0])
            out = self.new(op.name, axes, inside, zero=inside.zero - {own[0]})
            self.emit(Fold(out, inside, own[0]), out.section)
            return out
        tiles = [self.select(tile, axis) if axis else tile for tile, axis in zip(tiles, own, strict=True)]
        if isinstance(op, MatMul):
            return self._dot(request, needed, tiles[0], tiles[1], inner)
        if isinstance(op, PairSum):
            # Terms of two zeros are 0.
            assert op.of.term is not None
            return self._triple(request, needed, tiles, op.of.term, inner)
        assert isinstance(op, PairGradient) and op.of.term_slope is not None
        return self._triple(request, needed, tiles, f"w * ({op.of.term_slope})", inner)

    def _dot(self, request: Request, needed: list[Operand], x: Tile, y: Tile, inner: str) -> Tile:
        r, c = request.rows, request.columns
        x_turned = needed[0].labels != (r, inner)
        y_turned = needed[1].labels != (inner, c)
        labels = [dict(zip(found.labels, tile.axes, strict=True)) for found, tile in zip(needed, (x, y), strict=True)]
        zero = frozenset(
            axis for axis, tile, names in ((r, x, labels[0]), (c, y, labels[1])) if axis and names[axis] in tile.zero
        )
        out = self.new("matmul", request.axes, x, y, zero=zero)
        if (r, c) == request.axes:
            self.emit(Dot(out, x, x_turned, y, y_turned), out.section)
        else:
            self.emit(Dot(out, y, not y_turned, x, not x_turned), out.section)
        return out

    def _triple(self, request: Request, needed: list[Operand], tiles: list[Tile], expression: str, inner: str) -> Tile:
        labels = stored(request.rows, request.columns, inner)
        out = self.new(request.node.op.name, request.axes, *tiles)
        given = {name: (tile, found.labels) for name, tile, found in zip("xyw", tiles, needed, strict=False)}
        section = LOOP if self.streams and inner == "j" else out.section
        out = Tile(out.name, out.axes, section)
        self.emit(Triple(out, expression, given, labels, inner), section)
        return out

    def _compare(self, request: Request) -> Tile:
        op, (x, y) = request.node.op, request.node.operands
        assert isinstance(op, PairSum) and request.rows is not None and request.columns is not None
        out = self.new(op.of.name, request.axes)
        # A value of tokens lies in memory token by token, whichever of its axes is called rows.
        turns = [below.type == DD and unturned(below)[1] for below in (x, y)]
        labels = (request.rows, request.columns)
        self.emit(Compare(out, op.of, peeled(x), turns[0], peeled(y), turns[1], labels), out.section)
        return out

    # ------------------------------------------------------------ targets

    def run(self) -> Tiled:
        online = {node for nodes in self.stage.online.values() for node in nodes}
        for node in self.stage.targets:
            if contracts_sequence(node) and node not in online:
                self.done[node] = self._accumulate(node)
        for node in self.stage.targets:
            if node not in self.done:
                self.done[node] = self.tile(target_request(node))
        for node in self.stage.targets:
            if node in self.plan.stored:
                request = target_request(node)
                tile = self.full(self.done[node], request.axes)
                turned = len(request.axes) == 2 and (request.rows, request.columns) != request.axes
                section = EPILOGUE if self.streams else PROLOGUE
                self.emit(Store(node, tile, turned), section)
                if is_statistic(node):
                    self.emit(Store(node, self.inverses[self.done[node]], turned, part=1), section)
        used: set[str] = set()
        for instruction in self.code.instructions:
            used |= set(_axes(instruction))
        self.code.axes = frozenset(used)
        return self.code

    def _accumulate(self, node: Node) -> Tile:
        request = target_request(node)
        if isinstance(node.op, Reduction) and node.op.kind != "sum":
            return self._online(node, node.op, request)
        needed = contraction(request, "j")
        part = self._contract(request, needed, "j")
        total = self._total(part.name, request.axes)
        self.emit(Accumulate(total, part), LOOP)
        return total

    def _total(self, name: str, axes: tuple[str, ...]) -> Tile:
        return Tile(f"{name}_total", axes, EPILOGUE)

    def _online(self, node: Node, op: Reduction, request: Request) -> Tile:
        (found,) = contraction(request, "j")
        scores = self.select(self._operand(found), "j", "minus_infinity")
        out = Tile(f"{scores.name}_largest", request.axes, EPILOGUE)
        self.inverses[out] = Tile(f"{scores.name}_inverse", request.axes, EPILOGUE)
        sums = []
        for product in self.stage.online.get(node, []):
            weights, values = target_operands(product)
            tile = self.select(self._operand(values), "j")
            keep = None
            for below in weights.request.node.operands:
                if isinstance(peeled(below).op, Keep):
                    keep_request = Request(below, weights.request.rows, weights.request.columns)
                    keep = self.tile(keep_request)
            total = self._total(f"matmul_{len(self.code.instructions)}", target_request(product).axes)
            sums.append(WeightedSum(total, keep, tile, values.labels != ("j", "d")))
            self.done[product] = total
        self.emit(OnlineSoftmax(out, self.inverses[out], scores, "j", tuple(sums)), LOOP)
        if op.kind == "log_sum_exp" and node in self.plan.stored:
            return self._map(op.name, "x - log(y)", {"x": out, "y": self.inverses[out]})
        return out


def _inner(request: Request, needed: list[Operand]) -> str:
    """The axis that a contraction of features sums over: the one that its result has not."""
    labels = {label for found in needed for label in found.labels}
    (inner,) = labels - {request.rows, request.columns}
    return inner


def _axes(instruction: Instruction) -> tuple[str, ...]:
    if isinstance(instruction, Accumulate):
        return instruction.operand.axes
    if isinstance(instruction, OnlineSoftmax):
        return (*instruction.scores.axes, *(axis for part in instruction.sums for axis in part.values.axes))
    if isinstance(instruction, Store):
        return instruction.tile.axes
    if isinstance(instruction, Triple):
        return instruction.labels
    return instruction.out.axes


def _keeps_zero(expression: str, given: dict[str, Tile], axis: str) -> bool:
    """Whether an expression is 0 outside along an axis, its operands being what they are there."""
    for sample in _SAMPLES:
        values = {
            name: np.float64(0.0 if axis in tile.axes and axis in tile.zero else sample) for name, tile in given.items()
        }
        # An operand that is not 0 there may be anything, an infinity too; only sums of zeros and functions of zeros
        # and of values along other axes count.
        if any(axis in tile.axes and axis not in tile.zero for tile in given.values()):
            return False
        with np.errstate(all="ignore"):
            if evaluate(np, expression, values) != 0.0:
                return False
    return True


def lower_stage(plan: Plan, stage: Stage) -> Tiled:
    """A stage of the plan as instructions. Raises `MissingKernel`."""
    return _Lowering(plan, stage).run()
