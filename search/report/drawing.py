"""Drawings of `runtime.drawing` in the colours of the page: what is neutral follows the theme, the rest stays."""

from __future__ import annotations

from autobertc.runtime.drawing.canvas import Align, Point
from autobertc.runtime.drawing.palette import CARD, CARD_EDGE, FAINT, GROUP, GROUP_EDGE, INK, SOFT_INK
from autobertc.search.report.scene import Scene

_NEUTRAL = {CARD: "sunken", CARD_EDGE: "line", GROUP: "sunken", GROUP_EDGE: "line"}
_TEXT = {INK: "ink", SOFT_INK: "soft", FAINT: "soft"}
# Soft text on a coloured shape, whose colour is that of the light theme in both.
_ON_COLOUR = {SOFT_INK: "#454C51", FAINT: "#454C51"}


class Drawing(Scene):
    """A scene for pictures made with fixed colours. Text keeps its colour on a coloured shape, where it was chosen to
    be read, and takes the theme's elsewhere."""

    def __init__(self, raster: bool = False) -> None:
        super().__init__(raster)
        self._coloured: list[tuple[Point, Point]] = []

    def box(
        self,
        corner: Point,
        size: Point,
        fill: str,
        edge: str | None = None,
        radius: float = 5.0,
        line: float = 0.8,
        opacity: float | None = None,
    ) -> None:
        if fill not in _NEUTRAL:
            self._coloured.append((corner, (corner[0] + size[0], corner[1] + size[1])))
        super().box(
            corner, size, _NEUTRAL.get(fill, fill), _NEUTRAL.get(edge or "", edge or "") or None, radius, line, opacity
        )

    def disc(
        self, middle: Point, radius: float, fill: str, edge: str | None = None, opacity: float | None = None
    ) -> None:
        (x, y) = middle
        self._coloured.append(((x - radius, y - radius), (x + radius, y + radius)))
        super().disc(middle, radius, fill, edge, opacity)

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        colour: str,
        align: Align = "center",
        bold: bool = False,
        mono: bool = False,
        turned: bool = False,
    ) -> None:
        x, y = at
        inside = any(left <= x <= right and top <= y <= bottom for (left, top), (right, bottom) in self._coloured)
        colour = _ON_COLOUR.get(colour, colour) if inside else _TEXT.get(colour, colour)
        super().text(at, text, size, colour, align, bold, mono, turned)
