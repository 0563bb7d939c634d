"""What a picture is made of. Lengths in points, y downwards; colours as `#RRGGBB`, or names that a canvas knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Align = Literal["left", "center", "right"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle with round corners; `corner` is its upper left. `opacity` is of the whole, 1 if None."""

    corner: Point
    size: Point
    fill: str
    edge: str | None = None
    radius: float = 5.0
    line: float = 0.8
    opacity: float | None = None


@dataclass(frozen=True)
class Disc:
    """A filled circle; with an `edge`, a line of one point around it."""

    middle: Point
    radius: float
    fill: str
    edge: str | None = None
    opacity: float | None = None


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: Sequence[Point]
    fill: str
    opacity: float | None = None


@dataclass(frozen=True)
class Text:
    """A line of text whose small letters are centred on the height of `at`; `turned`, it runs upwards, centred on the
    breadth of `at`."""

    at: Point
    text: str
    size: float
    colour: str
    align: Align = "center"
    bold: bool = False
    mono: bool = False
    turned: bool = False

    @property
    def base(self) -> Point:
        """Where its base line is anchored."""
        shift = 0.36 * self.size
        x, y = self.at
        return (x + shift, y) if self.turned else (x, y + shift)


@dataclass(frozen=True)
class Line:
    """Straight pieces through the points."""

    points: Sequence[Point]
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Rise:
    """A curve that leaves `start` and reaches `end` vertically."""

    start: Point
    end: Point
    colour: str
    width: float = 1.0

    @property
    def controls(self) -> tuple[Point, Point]:
        """The two middle points of its Bezier curve."""
        middle = (self.start[1] + self.end[1]) / 2
        return (self.start[0], middle), (self.end[0], middle)


@dataclass(frozen=True)
class Tip:
    """An arrow head that points along `direction`, a unit vector, and ends at `at`."""

    at: Point
    direction: Point
    colour: str
    size: float = 4.0

    @property
    def corners(self) -> tuple[Point, Point, Point]:
        """Its three corners, the tip first."""
        (x, y), (dx, dy) = self.at, self.direction
        back = (x - self.size * dx, y - self.size * dy)
        wing = (-dy * self.size * 0.55, dx * self.size * 0.55)
        return self.at, (back[0] + wing[0], back[1] + wing[1]), (back[0] - wing[0], back[1] - wing[1])


Shape = Box | Disc | Area | Text | Line | Rise | Tip


def recoloured(shape: Shape, change: Callable[[str], str]) -> Shape:
    """The shape with each of its colours changed."""
    colours = {name: getattr(shape, name, None) for name in ("fill", "edge", "colour")}
    return replace(shape, **{name: change(colour) for name, colour in colours.items() if colour})  # type: ignore[arg-type]
