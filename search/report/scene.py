"""A chart on two canvases at once: SVG inside the page, in the colours of its theme, and PNG in the light ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path

from autobertc.runtime.drawing.canvas import Align, Canvas, Point, arrow_head

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


def _css(colour: str) -> str:
    return f"var(--{colour})" if colour in LIGHT else colour


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Scene(Canvas):
    """A canvas that also takes roles of `LIGHT` as colours, and can show a tip at a shape.

    One that `raster` is told of can be saved as a picture; others, which are many times as fast, give SVG alone.
    """

    def __init__(self, raster: bool = False) -> None:
        super().__init__()
        self.raster = raster
        self._out = StringIO()
        self._tip = ""

    def hover(self, text: str) -> None:
        """What a pointer on the shapes that follow is told; "" ends it."""
        self._tip = text

    def _emit(self, tag: str, attributes: str, content: str = "") -> None:
        tip = f' data-tip="{escape(self._tip)}"' if self._tip else ""
        self._out.write(f"<{tag} {attributes}{tip}" + (f">{content}</{tag}>" if content else "/>"))

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
        if self.raster:
            super().box(corner, size, _light(fill), _light(edge), radius, line, opacity)
        radius = min(radius, *(side / 2 for side in size))
        stroke = f' stroke="{_css(edge)}" stroke-width="{_n(line)}"' if edge else ""
        place = f'x="{_n(corner[0])}" y="{_n(corner[1])}" width="{_n(size[0])}" height="{_n(size[1])}"'
        self._emit("rect", f'{place} rx="{_n(radius)}" fill="{_css(fill)}"{stroke}{_opacity(opacity)}')

    def disc(
        self, middle: Point, radius: float, fill: str, edge: str | None = None, opacity: float | None = None
    ) -> None:
        if self.raster:
            super().disc(middle, radius, _light(fill), _light(edge), opacity)
        stroke = f' stroke="{_css(edge)}"' if edge else ""
        place = f'cx="{_n(middle[0])}" cy="{_n(middle[1])}" r="{_n(radius)}"'
        self._emit("circle", f'{place} fill="{_css(fill)}"{stroke}{_opacity(opacity)}')

    def area(self, points: Sequence[Point], fill: str, opacity: float | None = None) -> None:
        if self.raster:
            super().area(points, _light(fill), opacity)
        self._emit("polygon", f'points="{_points(points)}" fill="{_css(fill)}"{_opacity(opacity)}')

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
        if self.raster:
            super().text(at, text, size, _light(colour), align, bold, mono, turned)
        shift = 0.36 * size
        anchor = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}[align]
        if turned:
            x, y = at[0] + shift, at[1]
            anchor += f' transform="rotate(-90 {_n(x)} {_n(y)})"'
        else:
            x, y = at[0], at[1] + shift
        style = (' font-weight="600"' if bold else "") + (' class="mono"' if mono else "")
        place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"'
        self._emit("text", f'{place} fill="{_css(colour)}"{anchor}{style}', escape(text) or " ")

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0, dashed: bool = False) -> None:
        if self.raster:
            super().line(points, _light(colour), width, dashed)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        style = f'fill="none" stroke="{_css(colour)}" stroke-width="{_n(width)}" stroke-linejoin="round"{dashes}'
        self._emit("polyline", f'points="{_points(points)}" {style}')

    def rise(self, start: Point, end: Point, colour: str, width: float = 1.0) -> None:
        if self.raster:
            super().rise(start, end, _light(colour), width)
        (x, y), (u, v), middle = start, end, (start[1] + end[1]) / 2
        path = f"M{_n(x)} {_n(y)}C{_n(x)} {_n(middle)} {_n(u)} {_n(middle)} {_n(u)} {_n(v)}"
        self._emit("path", f'd="{path}" fill="none" stroke="{_css(colour)}" stroke-width="{_n(width)}"')

    def tip(self, at: Point, direction: Point, colour: str, size: float = 4.0) -> None:
        if self.raster:
            super().tip(at, direction, _light(colour), size)
        self._emit("polygon", f'points="{_points(arrow_head(at, direction, size))}" fill="{_css(colour)}"')

    def svg(self, width: float, height: float, label: str, style: str = "") -> str:
        """The picture as an element of the page, `label` read out in place of it."""
        box = f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}"'
        kind = f' class="{style}"' if style else ""
        return f'<svg {box}{kind} role="img" aria-label="{escape(label)}">{self._out.getvalue()}</svg>'


def _light(colour: str | None) -> str:
    return LIGHT.get(colour or "", colour or "") or None  # type: ignore[return-value]


def _opacity(opacity: float | None) -> str:
    return "" if opacity is None else f' opacity="{_n(opacity)}"'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


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
        scene = self.canvas(raster=True)
        width = self.widths[0]
        height = self.draw(scene, width)
        scene.save(folder / f"{self.name}.png", width, height)
