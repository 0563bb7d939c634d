"""One program of a picture: a card with its letter, the layers that use it, its graph and its text."""

from __future__ import annotations

from dataclasses import dataclass, field

from autobertc.dsl.graph import Node, Program, print_roots
from autobertc.runtime.drawing.canvas import Canvas, fit, text_width, wrap_code
from autobertc.runtime.drawing.layout import NODE_HEIGHT, Layout, Slot, Wire, is_ordered, lay_out
from autobertc.runtime.drawing.palette import (
    CARD,
    CARD_EDGE,
    FAINT,
    INK,
    INPUTS,
    SOFT_INK,
    WIRE,
    darker,
    is_input,
    kind,
    on,
)
from autobertc.runtime.drawing.shapes import Point

MAX_OPERATIONS, MAX_SLOTS = 150, 900
_MAX_LINES = 28
_PAD, _MIN_WIDTH = 14.0, 190.0
_HEADER, _OUTPUT, _GAP = 38.0, 24.0, 14.0
_CODE_SIZE, _CODE_LEADING = 6.8, 10.2
_CODE_ADVANCE = 0.6021 * _CODE_SIZE
_LAYERS_SIZE, _NAME_SIZE, _TYPE_SIZE = 9.2, 8.2, 5.6


@dataclass(eq=False)
class Card:
    """A program to draw.

    Attributes:
        letter: what the backbone calls it.
        layers: which layers use it, in words.
        colour: its colour in the backbone.
        budget: how many operations the picture still has room for.
    """

    program: Program
    letter: str
    layers: str
    colour: str
    budget: int
    operations: int = field(init=False)
    layout: Layout | None = field(init=False)
    text: list[str] = field(init=False)

    def __post_init__(self) -> None:
        root = self.program.root
        self.operations = sum(1 for node in self.program.nodes() if node.operands)
        fits = self.operations <= min(MAX_OPERATIONS, self.budget)
        self.layout = lay_out(root, node_width, MAX_SLOTS) if fits else None
        lets, (expression,) = print_roots([root])
        self.text = [*(f"let {name} = {value}" for name, value in lets), f"att: {expression}"]

    @property
    def width(self) -> float:
        """The least width, in points."""
        header = 34 + text_width(self.layers, _LAYERS_SIZE, bold=True)
        body = self.layout.width if self.layout else text_width(self._refusal(), 8)
        return max(_MIN_WIDTH, 2 * _PAD + max(header, body))

    def _refusal(self) -> str:
        """What stands in place of the graph."""
        crowded = self.budget < self.operations <= MAX_OPERATIONS
        reason = "no room left to draw it" if crowded else "too large to draw"
        return f"program of {self.operations:,} operations, {reason}"

    def lines(self, width: float) -> list[str]:
        """The program's text, for a card of that width."""
        columns = int((width - 2 * _PAD) / _CODE_ADVANCE)
        limit = _MAX_LINES if self.layout else 4
        lines: list[str] = []
        for text in self.text:
            lines += wrap_code(text, columns, limit)
            if len(lines) > limit:
                return [*lines[:limit], "…"]
        return lines

    def heights(self, width: float) -> tuple[float, float]:
        """The heights its upper part and its text take at that width."""
        drawn = _OUTPUT + self.layout.height if self.layout else 2 * _OUTPUT
        return _PAD + _HEADER + drawn + _GAP, len(self.lines(width)) * _CODE_LEADING + _PAD

    def draw(self, canvas: Canvas, corner: Point, width: float, heights: tuple[float, float]) -> None:
        """Draw the card with its upper left at `corner`, its two parts as high as told."""
        left, top = corner
        upper, lower = heights
        canvas.box(corner, (width, upper + lower), CARD, CARD_EDGE, radius=9)
        self._draw_header(canvas, (left + _PAD, top + _PAD), width - 2 * _PAD)
        for number, line in enumerate(self.lines(width)):
            at = (left + _PAD, top + upper + (number + 0.5) * _CODE_LEADING)
            canvas.text(at, line, _CODE_SIZE, SOFT_INK, "left", mono=True)
        middle, bottom = left + width / 2, top + upper - _GAP
        if self.layout is None:
            canvas.text((middle, (top + _PAD + _HEADER + bottom) / 2), self._refusal(), 8, INK)
            return
        at = (middle - self.layout.width / 2, bottom - self.layout.height)
        draw_graph(canvas, self.layout, at, self.colour)

    def _draw_header(self, canvas: Canvas, corner: Point, width: float) -> None:
        left, top = corner
        chip = max(24.0, text_width(self.letter, 13, bold=True) + 10)
        canvas.box(corner, (chip, 24), self.colour, darker(self.colour), radius=6)
        canvas.text((left + chip / 2, top + 12), self.letter, 13, on(self.colour), bold=True)
        room = width - chip - 10
        layers = fit(self.layers, room, _LAYERS_SIZE, bold=True)
        canvas.text((left + chip + 10, top + 6.5), layers, _LAYERS_SIZE, INK, "left", bold=True)
        plural = "" if self.operations == 1 else "s"
        inputs = ", ".join(self.program.inputs)
        about = fit(f"{self.operations:,} operation{plural} on {inputs}", room, 7.5)
        canvas.text((left + chip + 10, top + 19), about, 7.5, SOFT_INK, "left")


def _name(node: Node) -> str:
    return fit(node.op.name, 150, _NAME_SIZE)


def node_width(node: Node) -> float:
    """The width of a value in a drawn graph, in points."""
    if is_input(node.op):
        return NODE_HEIGHT
    ports = 22.0 + 17.0 * len(node.operands) if is_ordered(node) else 0.0
    return max(46.0, ports, text_width(_name(node), _NAME_SIZE) + 16)


def draw_graph(canvas: Canvas, layout: Layout, corner: Point, colour: str) -> None:
    """Draw a graph with its upper left at `corner`; `colour` is the output's."""
    for wire in layout.wires:
        _draw_wire(canvas, wire, corner)
    for row in layout.rows:
        for slot in row:
            _draw_slot(canvas, slot, corner)
    for wire in layout.wires:
        if wire.number and is_ordered(wire.upper.node):
            at = corner[0] + wire.upper.x + wire.port, corner[1] + wire.upper.y + 7.5
            canvas.text(at, str(wire.number), _TYPE_SIZE, SOFT_INK, bold=True)
    root = layout.rows[-1][0]
    x, y = corner[0] + root.x, corner[1] + root.y - NODE_HEIGHT / 2
    canvas.line([(x, y), (x, y - 13)], darker(colour), 1.4)
    canvas.tip((x, y - 16), (0, -1), darker(colour), 5)
    canvas.text((x + 6, y - 11), "output", 6.5, SOFT_INK, "left")


def _wire_colour(node: Node) -> str:
    return INPUTS.get(node.op.name, WIRE) if is_input(node.op) else WIRE


def _draw_wire(canvas: Canvas, wire: Wire, corner: Point) -> None:
    colour = _wire_colour(wire.lower.node)
    start = (corner[0] + wire.lower.x, corner[1] + wire.lower.y - NODE_HEIGHT / 2)
    end = (corner[0] + wire.upper.x + wire.port, corner[1] + wire.upper.y + NODE_HEIGHT / 2)
    if wire.upper.passing:
        canvas.rise(start, end, colour)
        canvas.line([end, (end[0], end[1] - NODE_HEIGHT)], colour)
    else:
        canvas.rise(start, (end[0], end[1] + 3), colour)
        canvas.tip(end, (0, -1), colour)


def _draw_slot(canvas: Canvas, slot: Slot, corner: Point) -> None:
    if slot.passing:
        return
    x, y = corner[0] + slot.x, corner[1] + slot.y
    box = (x - slot.width / 2, y - NODE_HEIGHT / 2), (slot.width, NODE_HEIGHT)
    if is_input(slot.node.op):
        fill = INPUTS.get(slot.node.op.name, WIRE)
        canvas.disc((x, y), NODE_HEIGHT / 2, fill)
        canvas.text((x, y), slot.node.op.name, 10, on(fill), bold=True)
        return
    fill = kind(slot.node.op).fill
    canvas.box(*box, fill, darker(fill))
    canvas.text((x, y - 4.5), _name(slot.node), _NAME_SIZE, INK)
    canvas.text((x, y + 7.5), str(slot.node.type), _TYPE_SIZE, FAINT)
