"""Shapes and text in points, y downwards, written as SVG or PNG: all that the pictures need of matplotlib."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.text import Text as Label
from matplotlib.textpath import text_to_path

from autobertc.runtime.drawing.shapes import Area, Box, Disc, Line, Point, Rise, Shape, Text, Tip
from autobertc.runtime.files import write_bytes

SUFFIXES = (".svg", ".png")
P = ParamSpec("P")
_DPI, _MAX_PIXELS = 160.0, 4e7
_SETTINGS = {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"],
    "svg.fonttype": "none",
    "svg.hashsalt": "autobertc",
}


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


def _adds(make: Callable[P, Shape]) -> Callable[Concatenate[Canvas, P], None]:
    """A method of a canvas that makes a shape and adds it."""

    def add(canvas: Canvas, /, *arguments: P.args, **options: P.kwargs) -> None:
        canvas.add(make(*arguments, **options))

    add.__doc__ = make.__doc__
    return add


class Canvas:
    """A picture under construction; its size is settled when it is saved. Its methods take what `shapes` says."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []

    def add(self, shape: Shape) -> None:
        """Draw a shape over those before it."""
        self.shapes.append(shape)

    box = _adds(Box)
    disc = _adds(Disc)
    area = _adds(Area)
    text = _adds(Text)
    line = _adds(Line)
    rise = _adds(Rise)
    tip = _adds(Tip)

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
            for order, shape in enumerate(self.shapes):
                artist = _artist(shape)
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


def _artist(shape: Shape) -> Artist:
    """The shape as matplotlib draws it."""
    match shape:
        case Box(corner, size, fill, edge, radius, line, opacity):
            style = f"round,pad=0,rounding_size={min(radius, *(side / 2 for side in size))}"
            return FancyBboxPatch(
                corner, *size, boxstyle=style, facecolor=fill, edgecolor=edge or "none", linewidth=line, alpha=opacity
            )
        case Disc(middle, radius, fill, edge, opacity):
            width = 1 if edge else 0
            return Circle(middle, radius, facecolor=fill, edgecolor=edge or "none", linewidth=width, alpha=opacity)
        case Area(points, fill, opacity):
            return _filled(points, fill, opacity)
        case Tip(colour=fill):
            return _filled(shape.corners, fill)
        case Line(points, colour, width, dashed):
            return _stroke(Outline(list(points)), colour, width, (0, (4, 3)) if dashed else "solid")
        case Rise(start, end, colour, width):
            curve = Outline([start, *shape.controls, end], [Outline.MOVETO, *[Outline.CURVE4] * 3])
            return _stroke(curve, colour, width)
        case Text(_, text, size, colour, align, bold, mono, turned):
            return Label(
                *shape.base,
                text,
                color=colour,
                fontproperties=_font(size, bold, mono),
                horizontalalignment=align,
                verticalalignment="baseline",
                parse_math=False,
                rotation=90 if turned else None,
                rotation_mode="anchor" if turned else None,
            )


def _filled(points: Sequence[Point], fill: str, opacity: float | None = None) -> Artist:
    outline = Outline([*points, points[0]], closed=True)
    return PathPatch(outline, facecolor=fill, edgecolor="none", linewidth=0, alpha=opacity)


def _stroke(outline: Outline, colour: str, width: float, style: Any = "solid") -> Artist:
    return PathPatch(outline, facecolor="none", edgecolor=colour, linewidth=width, linestyle=style, snap=False)
