"""Axes, legends and numbers in words, for the charts of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autobertc.runtime.drawing.canvas import text_width
from autobertc.runtime.drawing.shapes import Point
from autobertc.search.report.scene import Scene

SIZE = 11.5
SMALL = 10.5


def number(value: float, digits: int = 3) -> str:
    """A number in few characters: significant digits, thousands apart, a true minus."""
    if not math.isfinite(value):
        return "–"  # noqa: RUF001
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-5:
        text = f"{value:.{digits - 1}e}"
    else:
        places = max(0, digits - 1 - math.floor(math.log10(size)))
        text = f"{value:,.{places}f}"
    return text.replace("-", "−")  # noqa: RUF001


def duration(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 0.95:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{number(seconds, 2)} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{number(minutes, 2)} min"
    hours = seconds / 3600
    return f"{number(hours, 3)} h" if hours < 1000 else f"{hours:,.0f} h"


def device_time(seconds: float, device: str) -> str:
    """Time of devices: "8 CPU-minutes", "24,000 GPU-hours"."""
    name = device.split()[-1] if device else "device"
    return f"{number(seconds / 60, 2)} {name}-minutes" if seconds < 7200 else f"{number(seconds / 3600)} {name}-hours"


def decimals(width: float) -> int:
    """The decimals that an interval of that width is worth: two significant digits of half of it."""
    return max(0, 1 - math.floor(math.log10(width / 2))) if 0 < width < math.inf else 3


def fixed(value: float, places: int) -> str:
    """A number with that many decimals and a true minus."""
    return f"{value:,.{places}f}".replace("-", "−")  # noqa: RUF001


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 layer", "12 layers"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def magnitude(value: float) -> str:
    """A large count with its unit: 1.4 P, 30 G."""
    for unit, size in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return number(value)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers within [low, high]."""
    span = high - low
    raw = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """The range of the values with room at both ends; never empty."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * 0.05 or 1.0
    return low - room, high + room


@dataclass(frozen=True)
class Plot:
    """A rectangle of a scene with a range of numbers along each side."""

    scene: Scene
    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + self.width * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.top + self.height * (high - min(max(value, low), high)) / (high - low)

    def at(self, x: float, y: float) -> Point:
        return self.x(x), self.y(y)

    def frame(self, x_title: str, y_title: str) -> None:
        """Grid, numbers and titles: the title of y above its axis, that of x below."""
        scene, bottom = self.scene, self.top + self.height
        marks = ticks(*self.y_range, max(2, round(self.height / 52)))
        for mark in marks:
            scene.line([(self.left, self.y(mark)), (self.left + self.width, self.y(mark))], "line")
            scene.text((self.left - 7, self.y(mark)), tick_text(mark, marks), SMALL, "soft", "right")
        marks = ticks(*self.x_range, max(2, round(self.width / 90)))
        for mark in marks:
            scene.line([(self.x(mark), bottom), (self.x(mark), bottom + 4)], "faint")
            scene.text((self.x(mark), bottom + 14), tick_text(mark, marks), SMALL, "soft")
        scene.line([(self.left, bottom), (self.left + self.width, bottom)], "faint")
        scene.text((self.left + self.width, bottom + 31), x_title, SMALL, "soft", "right")
        scene.text((4, self.top - 15), y_title, SMALL, "soft", "left")


def tick_text(mark: float, marks: Sequence[float]) -> str:
    """A mark with as many decimals as the step between marks needs."""
    step = marks[1] - marks[0] if len(marks) > 1 else abs(mark) or 1
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**places, 6) % 1:
        places += 1
    return fixed(mark, places)


def legend(scene: Scene, corner: Point, width: float, entries: Sequence[tuple[str, str, str]]) -> float:
    """Marks and meanings: (mark, colour, meaning) with mark "dot", "ring", "line", "dashes" or "box"; returns where
    they end."""
    left, y = corner
    x = left
    for mark, colour, meaning in entries:
        wide = 24 + text_width(meaning, SMALL)
        if x > left and x + wide > left + width:
            x, y = left, y + 18
        _mark(scene, mark, colour, (x, y))
        scene.text((x + 19, y), meaning, SMALL, "soft", "left")
        x += wide + 14
    return y + 9


def _mark(scene: Scene, mark: str, colour: str, at: Point) -> None:
    x, y = at
    if mark == "dot":
        scene.disc((x + 7, y), 3.6, colour)
    elif mark == "ring":
        scene.disc((x + 7, y), 3.4, "card", colour)
    elif mark == "box":
        scene.box((x + 2, y - 5), (11, 11), colour, radius=3)
    else:
        scene.line([(x, y), (x + 14, y)], colour, 2, dashed=mark == "dashes")
