"""A chart on two canvases at once: SVG inside the page, in the colours of its theme, and PNG in the light ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from autobertc.runtime.drawing.canvas import Canvas
from autobertc.runtime.drawing.shapes import (
    Area,
    Box,
    Disc,
    Line,
    Point,
    Rise,
    Shape,
    Text,
    Tip,
    recoloured,
)

LIGHT = {
    "page": "#FAF8F4",
    "card": "#FFFFFF",
    "ink": "#23282C",
    "soft": "#596168",
    "faint": "#A9AFB3",
    "line": "#E4E0D8",
    "sunken": "#F3F0EA",
    "accent": "#1F6F68",
    "accent-soft": "#DCEDEA",
    "on-accent": "#FFFFFF",
    "second": "#A9561F",
    "third": "#3A659B",
    "bad": "#A33B3B",
}
DARK = {
    "page": "#14181A",
    "card": "#1B2023",
    "ink": "#ECEAE5",
    "soft": "#AEB5B9",
    "faint": "#6C757A",
    "line": "#31393D",
    "sunken": "#23292C",
    "accent": "#6CC7BA",
    "accent-soft": "#1F3F3C",
    "on-accent": "#0E1B1A",
    "second": "#E5A06C",
    "third": "#90B6E6",
    "bad": "#E99090",
}
"""Colours by role. Everything written in `ink`, `soft`, `accent`, `second`, `third` or `bad` has a contrast of at
least 4.5 to `page` and `card`; a test holds them to it."""


_ANCHORS = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}


def _css(colour: str) -> str:
    return f"var(--{colour})" if colour in LIGHT else colour


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Scene(Canvas):
    """A canvas that also takes roles of `LIGHT` as colours, and can show a tip at a shape."""

    def __init__(self) -> None:
        super().__init__()
        self._hints: list[str] = []
        self._hint = ""

    def hover(self, text: str) -> None:
        """What a pointer on the shapes that follow is told; "" ends it."""
        self._hint = text

    def add(self, shape: Shape) -> None:
        super().add(shape)
        self._hints.append(self._hint)

    def colours(self, change: Callable[[str], str]) -> Canvas:
        """The picture with each colour changed."""
        canvas = Canvas()
        for shape in self.shapes:
            canvas.add(recoloured(shape, change))
        return canvas

    def svg(self, width: float, height: float, label: str, style: str = "") -> str:
        """The picture as an element of the page, `label` read out in place of it."""
        box = f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}"'
        kind = f' class="{style}"' if style else ""
        shapes = "".join(_element(shape, hint) for shape, hint in zip(self.shapes, self._hints, strict=True))
        return f'<svg {box}{kind} role="img" aria-label="{escape(label)}">{shapes}</svg>'


def _element(shape: Shape, hint: str) -> str:
    """The shape as an element of SVG, with what a pointer on it is told."""
    content = ""
    match shape:
        case Box((x, y), (width, height), fill, edge, radius, line, opacity):
            tag, place = "rect", f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
            stroke = f' stroke="{_css(edge)}" stroke-width="{_n(line)}"' if edge else ""
            place += f' rx="{_n(min(radius, width / 2, height / 2))}"'
            style = f'fill="{_css(fill)}"{stroke}{_opacity(opacity)}'
        case Disc((x, y), radius, fill, edge, opacity):
            tag, place = "circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"'
            stroke = f' stroke="{_css(edge)}"' if edge else ""
            style = f'fill="{_css(fill)}"{stroke}{_opacity(opacity)}'
        case Area(points, fill, opacity):
            tag, place, style = "polygon", _points(points), f'fill="{_css(fill)}"{_opacity(opacity)}'
        case Tip(colour=fill):
            tag, place, style = "polygon", _points(shape.corners), f'fill="{_css(fill)}"'
        case Line(points, colour, width, dashed):
            tag, place, style = "polyline", _points(points), _stroke(colour, width) + ' stroke-linejoin="round"'
            style += ' stroke-dasharray="4 3"' if dashed else ""
        case Rise(start, end, colour, width):
            corners = (*shape.controls, end)
            curve = " ".join(f"{_n(x)} {_n(y)}" for x, y in corners)
            tag, place, style = "path", f'd="M{_n(start[0])} {_n(start[1])}C{curve}"', _stroke(colour, width)
        case Text(_, text, size, colour, align, bold, mono, turned):
            left, low = (_n(length) for length in shape.base)
            tag, place = "text", f'x="{left}" y="{low}" font-size="{_n(size)}"'
            style = f'fill="{_css(colour)}"' + _ANCHORS[align]
            style += f' transform="rotate(-90 {left} {low})"' if turned else ""
            style += (' font-weight="600"' if bold else "") + (' class="mono"' if mono else "")
            content = escape(text) or " "
    tip = f' data-tip="{escape(hint)}"' if hint else ""
    return f"<{tag} {place} {style}{tip}" + (f">{content}</{tag}>" if content else "/>")


def _stroke(colour: str, width: float) -> str:
    return f'fill="none" stroke="{_css(colour)}" stroke-width="{_n(width)}"'


def _opacity(opacity: float | None) -> str:
    return "" if opacity is None else f' opacity="{_n(opacity)}"'


def _points(points: Sequence[Point]) -> str:
    return 'points="' + " ".join(f"{_n(x)},{_n(y)}" for x, y in points) + '"'


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Attributes:
        name: of its PNG, without the suffix.
        label: what it shows, in a sentence, for those who do not see it.
        draw: draws it on a scene of that width and returns its height.
        widths: on a wide screen and on a phone, in CSS pixels.
        canvas: what it is drawn on.
    """

    name: str
    label: str
    draw: Callable[[Scene, float], float]
    widths: tuple[float, float] = (940.0, 350.0)
    canvas: type[Scene] = Scene

    def html(self) -> str:
        """Both widths, where they differ; the page shows the one that fits."""
        parts = []
        wide, narrow = self.widths
        for width, style in [(wide, "wide"), (narrow, "narrow")] if wide != narrow else [(wide, "")]:
            scene = self.canvas()
            parts.append(scene.svg(width, self.draw(scene, width), self.label, style))
        return "".join(parts)

    def save(self, folder: Path) -> None:
        """Write `name`.png in the folder, as it is on a wide screen."""
        scene = self.canvas()
        width = self.widths[0]
        height = self.draw(scene, width)
        light = scene.colours(lambda colour: LIGHT.get(colour, colour))
        light.save(folder / f"{self.name}.png", width, height)
