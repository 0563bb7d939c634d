"""Drawings of `runtime.drawing` in the colours of the page: what is neutral follows the theme, the rest stays."""

from __future__ import annotations

from autobertc.runtime.drawing.palette import CARD, CARD_EDGE, FAINT, GROUP, GROUP_EDGE, INK, SOFT_INK
from autobertc.runtime.drawing.shapes import Box, Disc, Point, Shape, Text, recoloured
from autobertc.search.report.scene import Scene

_NEUTRAL = {CARD: "sunken", CARD_EDGE: "line", GROUP: "sunken", GROUP_EDGE: "line"}
_TEXT = {INK: "ink", SOFT_INK: "soft", FAINT: "soft"}
# Soft text on a coloured shape, whose colour is that of the light theme in both.
_ON_COLOUR = {SOFT_INK: "#454C51", FAINT: "#454C51"}


class Drawing(Scene):
    """A scene for pictures made with fixed colours. Text keeps its colour on a coloured shape, where it was chosen to
    be read, and takes the theme's elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._coloured: list[tuple[Point, Point]] = []

    def add(self, shape: Shape) -> None:
        match shape:
            case Box((x, y), (width, height), fill) if fill not in _NEUTRAL:
                self._coloured.append(((x, y), (x + width, y + height)))
            case Disc((x, y), radius):
                self._coloured.append(((x - radius, y - radius), (x + radius, y + radius)))
        colours = _NEUTRAL if isinstance(shape, Box) else {}
        if isinstance(shape, Text):
            x, y = shape.at
            inside = any(left <= x <= right and top <= y <= bottom for (left, top), (right, bottom) in self._coloured)
            colours = _ON_COLOUR if inside else _TEXT
        super().add(recoloured(shape, lambda colour: colours.get(colour, colour)))
