"""The backbone of a picture: embedding and layers as blocks, left to right."""

from __future__ import annotations

from collections.abc import Iterator

from autobertc.dsl.architecture import Architecture, ConvolutionLayer
from autobertc.runtime.drawing.canvas import Canvas, text_width
from autobertc.runtime.drawing.palette import (
    EMBEDDING,
    EMBEDDING_EDGE,
    FAINT,
    GROUP,
    GROUP_EDGE,
    INK,
    KERNELS,
    SOFT_INK,
    WIRE,
    darker,
    on,
    program_colour,
)
from autobertc.runtime.drawing.runs import Group, Run, Symbol, letter, summarize
from autobertc.runtime.drawing.shapes import Point

MAX_BLOCKS = 96
ROW_WIDTH = 1080.0
_BLOCKS_IN_ROW = 12
_PITCH = ROW_WIDTH / (_BLOCKS_IN_ROW + 1)
_BLOCK = (60.0, 44.0)
_LABEL = 16.0
_ROW_HEIGHT, _LABELLED_ROW_HEIGHT = 88.0, 112.0


class Backbone:
    """The layers, left to right, in as many rows as they need; the embedding has a column of its own."""

    def __init__(self, canvas: Canvas, architecture: Architecture, numbers: dict[Symbol, list[int]]) -> None:
        self._canvas = canvas
        self._sizes = architecture.sizes
        roots = [each for each in numbers if not isinstance(each, int)]
        self._index = {root: index for index, root in enumerate(roots)}
        self._layers = len(architecture.layers)
        self._groups = list(self._arrange(summarize(architecture.layers)))
        self._cells = [(first + index, run) for first, group in self._groups for index, run in enumerate(group.runs)]
        labelled = any(group.count > 1 for _, group in self._groups)
        self._row_height = _LABELLED_ROW_HEIGHT if labelled else _ROW_HEIGHT

    def _arrange(self, groups: list[Group]) -> Iterator[tuple[int, Group]]:
        """The groups that fit, each with its first cell. A group is kept in one row where that holds it."""
        cell = 0
        for group in groups:
            size = len(group.runs)
            if cell % _BLOCKS_IN_ROW + size > _BLOCKS_IN_ROW >= size:
                cell += -cell % _BLOCKS_IN_ROW
            if cell + size > MAX_BLOCKS:
                return
            yield cell, group
            cell += size

    @property
    def width(self) -> float:
        """The width of the longest row, in points."""
        columns = max((cell % _BLOCKS_IN_ROW for cell, _ in self._cells), default=0) + 1
        return (columns + 1) * _PITCH - (_PITCH - _BLOCK[0])

    def draw(self, corner: Point) -> float:
        """Draw all with the upper left at `corner`; returns where it ends."""
        self._corner = corner
        self._draw_embedding()
        for first, group in self._groups:
            if group.times > 1:
                self._draw_group(first, first + len(group.runs) - 1, group)
        before, stacked = -1, False
        for cell, run in self._cells:
            self._draw_arrow(before, cell, stacked)
            self._draw_run(cell, run)
            before, stacked = cell, run.count > 1
        last_row = max(before, 0) // _BLOCKS_IN_ROW
        bottom = corner[1] + (last_row + 1) * self._row_height - 18
        drawn = sum(group.count for _, group in self._groups)
        if drawn < self._layers:
            left = corner[0] + _PITCH
            text = f"… and {self._layers - drawn:,} further layers"
            self._canvas.text((left, bottom + 4), text, 9, SOFT_INK, "left")
            bottom += 20
        return bottom

    def _at(self, cell: int) -> Point:
        """The upper left of a cell's block; cell -1 is the embedding's."""
        row, column = divmod(max(cell, 0), _BLOCKS_IN_ROW)
        column += cell >= 0
        return self._corner[0] + column * _PITCH, self._corner[1] + _LABEL + row * self._row_height

    def _draw_embedding(self) -> None:
        x, y = self._at(-1)
        width, height = _BLOCK
        self._canvas.box((x, y), _BLOCK, EMBEDDING, EMBEDDING_EDGE)
        wide = self._sizes.embedding or self._sizes.hidden
        self._canvas.text((x + width / 2, y + height / 2 - 6), "embedding", 8.2, INK)
        self._canvas.text((x + width / 2, y + height / 2 + 8), f"{self._sizes.vocab} × {wide}", 6, SOFT_INK)  # noqa: RUF001

    def _draw_group(self, first: int, last: int, group: Group) -> None:
        canvas = self._canvas
        cell = first
        while cell <= last:
            end = min(last, cell - cell % _BLOCKS_IN_ROW + _BLOCKS_IN_ROW - 1)
            (x, y), (right, _) = self._at(cell), self._at(end)
            size = (right + _BLOCK[0] - x + 14, _BLOCK[1] + _LABEL + 23)
            canvas.box((x - 7, y - _LABEL), size, GROUP, GROUP_EDGE, radius=8)
            cell = end + 1
        numbers = f"layers {group.first:,}–{group.first + group.count - 1:,}"  # noqa: RUF001
        middle = (x + right + _BLOCK[0]) / 2
        times = f"× {group.times:,}"  # noqa: RUF001
        self._pill((middle, y - _LABEL + size[1]), times)
        canvas.text((middle, y - _LABEL + size[1] + 14), numbers, 7, SOFT_INK)

    def _pill(self, middle: Point, text: str) -> None:
        width = text_width(text, 8.2, bold=True) + 14
        self._canvas.box((middle[0] - width / 2, middle[1] - 7), (width, 14), INK, radius=7)
        self._canvas.text(middle, text, 8.2, "#FFFFFF", bold=True)

    def _draw_run(self, cell: int, run: Run) -> None:
        canvas = self._canvas
        (x, y), (width, height) = self._at(cell), _BLOCK
        if isinstance(run.layer, ConvolutionLayer):
            fill, big, small = KERNELS[run.layer.kernel], str(run.layer.kernel), "convolution"
        else:
            index = self._index[run.layer.program.root]
            fill, big, small = program_colour(index), letter(index), "attention"
        if run.count > 1:
            for shift in (5.0, 2.5):
                canvas.box((x + shift, y - shift), _BLOCK, fill, darker(fill))
        canvas.box((x, y), _BLOCK, fill, darker(fill))
        canvas.text((x + width / 2, y + 17), big, 16, on(fill), bold=True)
        canvas.text((x + width / 2, y + height - 9), small, 6.8, on(fill))
        last = run.first + run.count - 1
        label = f"{run.first:,}" if run.count == 1 else f"{run.first:,}–{last:,}"  # noqa: RUF001
        canvas.text((x + width / 2, y - 8 - (4 if run.count > 1 else 0)), label, 7, FAINT)
        if run.count > 1:
            self._pill((x + width / 2, y + height + 4), f"× {run.count:,}")  # noqa: RUF001

    def _draw_arrow(self, before: int, cell: int, stacked: bool) -> None:
        canvas = self._canvas
        middle = _BLOCK[1] / 2
        x, y = self._at(cell)
        from_x, from_y = self._at(before)
        start = from_x + _BLOCK[0] + (7 if stacked else 3)
        if from_y == y:
            canvas.line([(start, y + middle), (x - 6, y + middle)], WIRE, 1.2)
        else:
            turn = y - _LABEL - 7
            right = from_x + _BLOCK[0] + (_PITCH - _BLOCK[0]) / 2 - 1
            left = x - (_PITCH - _BLOCK[0]) / 2 - 3
            corners = [
                (start, from_y + middle),
                (right, from_y + middle),
                (right, turn),
                (left, turn),
                (left, y + middle),
                (x - 6, y + middle),
            ]
            canvas.line(corners, WIRE, 1.2)
        canvas.tip((x - 3, y + middle), (1, 0), WIRE, 5)
