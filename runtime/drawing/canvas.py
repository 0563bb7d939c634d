"""Shapes and text in points, y downwards, written as SVG or PNG: all that the pictures need of matplotlib."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from autobertc.runtime.files import write_bytes

SUFFIXES = (".svg", ".png")
_DPI, _MAX_PIXELS = 160.0, 4e7
_SETTINGS = {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"],
    "svg.fonttype": "none",
    "svg.hashsalt": "autobertc",
}
Align = Literal["left", "center", "right"]
Point = tuple[float, float]


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False, mono: bool = False) -> float:
    """The width of a line of text, in points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks
        width, _, _ = text_to_path.get_text_width_height_descent(text, _font(size, bold, mono), ismath=False)
    return float(width)


def _font(size: float, bold: bool, mono: bool) -> Any:
    return FontProperties(family="monospace" if mono else "sans-serif", size=size, weight="bold" if bold else "normal")


def fit(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider than `width` points."""
    if len(text) < 1000 and text_width(text, size, bold) <= width:
        return text
    low, high = 0, min(len(text), 1000)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle] + "…", size, bold) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def wrap_code(text: str, columns: int, max_lines: int) -> list[str]:
    """An expression in lines of at most `columns` characters, broken after brackets and commas."""
    lines = [""]
    limit = columns * (max_lines + 1)
    for piece in re.findall(r"[^(), ]*[(), ]*", text[:limit]):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > columns:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > columns:
            lines[-1:] = [lines[-1][:columns], lines[-1][columns:]]
    lines = [line.rstrip() for line in lines if line.strip()]
    if len(lines) > max_lines or len(text) > limit:
        lines = lines[:max_lines]
        lines[-1] = lines[-1][: columns - 2] + " …"
    return lines


def arrow_head(at: Point, direction: Point, size: float) -> list[Point]:
    """The three corners of an arrow head, its tip first."""
    (x, y), (dx, dy) = at, direction
    back = (x - size * dx, y - size * dy)
    wing = (-dy * size * 0.55, dx * size * 0.55)
    return [at, (back[0] + wing[0], back[1] + wing[1]), (back[0] - wing[0], back[1] - wing[1])]


class Canvas:
    """A picture under construction; its size is settled when it is saved."""

    def __init__(self) -> None:
        self._artists: list[Any] = []

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
        """A rectangle with round corners; `corner` is its upper left. `opacity` is of the whole, 1 if None."""
        style = f"round,pad=0,rounding_size={min(radius, *(side / 2 for side in size))}"
        self._artists.append(
            FancyBboxPatch(
                corner,
                *size,
                boxstyle=style,
                facecolor=fill,
                edgecolor=edge or "none",
                linewidth=line,
                alpha=opacity,
            )
        )

    def disc(
        self, middle: Point, radius: float, fill: str, edge: str | None = None, opacity: float | None = None
    ) -> None:
        """A filled circle; with an `edge`, a line of one point around it."""
        width = 1 if edge else 0
        self._artists.append(
            Circle(middle, radius, facecolor=fill, edgecolor=edge or "none", linewidth=width, alpha=opacity)
        )

    def area(self, points: Sequence[Point], fill: str, opacity: float | None = None) -> None:
        """A filled polygon."""
        outline = Outline([*points, points[0]], closed=True)
        self._artists.append(PathPatch(outline, facecolor=fill, edgecolor="none", linewidth=0, alpha=opacity))

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
        """A line of text whose small letters are centred on the height of `at`; `turned`, it runs upwards, centred on
        the breadth of `at`."""
        artist = Text(
            at[0] + (0.36 * size if turned else 0.0),
            at[1] + (0.0 if turned else 0.36 * size),
            text,
            color=colour,
            fontproperties=_font(size, bold, mono),
            horizontalalignment=align,
            verticalalignment="baseline",
            parse_math=False,
            rotation=90 if turned else None,
            rotation_mode="anchor" if turned else None,
        )
        self._artists.append(artist)

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0, dashed: bool = False) -> None:
        """Straight pieces through the points."""
        self._stroke(Outline(list(points)), colour, width, dashed)

    def rise(self, start: Point, end: Point, colour: str, width: float = 1.0) -> None:
        """A curve that leaves `start` and reaches `end` vertically."""
        middle = (start[1] + end[1]) / 2
        vertices = [start, (start[0], middle), (end[0], middle), end]
        self._stroke(Outline(vertices, [Outline.MOVETO, *[Outline.CURVE4] * 3]), colour, width)

    def _stroke(self, outline: Any, colour: str, width: float, dashed: bool = False) -> None:
        style = (0, (4, 3)) if dashed else "solid"
        patch = PathPatch(outline, facecolor="none", edgecolor=colour, linewidth=width, linestyle=style, snap=False)
        self._artists.append(patch)

    def tip(self, at: Point, direction: Point, colour: str, size: float = 4.0) -> None:
        """An arrow head that points along `direction`, a unit vector, and ends at `at`."""
        corners = arrow_head(at, direction, size)
        self._artists.append(
            PathPatch(Outline([*corners, at], closed=True), facecolor=colour, edgecolor="none", linewidth=0)
        )

    def save(self, path: Path, width: float, height: float) -> None:
        """Write the picture, `width` by `height` points, in the suffix's format; equal pictures, equal bytes.

        The file appears whole or not at all. Raises `OutputError`.
        """
        write_bytes(path, self._render(path.suffix.lower(), width, height))

    def _render(self, suffix: str, width: float, height: float) -> bytes:
        data = BytesIO()
        with matplotlib.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*[Gg]lyph")
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            figure = Figure(figsize=(width / 72, height / 72))
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            axes.set(xlim=(0, width), ylim=(height, 0))
            for order, artist in enumerate(self._artists):
                artist.set(zorder=order, clip_on=False)
                axes.add_artist(artist)
            if suffix == ".svg":
                FigureCanvasSVG(figure)
                figure.savefig(data, format="svg", metadata={"Date": None})
            else:
                FigureCanvasAgg(figure)
                dpi = min(_DPI, 72 * (_MAX_PIXELS / (width * height)) ** 0.5)
                figure.savefig(data, format="png", dpi=dpi)
        return data.getvalue()
