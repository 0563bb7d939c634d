"""Heat maps: priorities, and which layers the best candidates have where. And whether priorities helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

from autobertc.dsl.architecture import KERNEL_SIZES
from autobertc.runtime.drawing.canvas import fit, text_width
from autobertc.runtime.drawing.shapes import Point
from autobertc.search.report.axes import SIZE, SMALL, Plot, number, padded, tick_text, ticks
from autobertc.search.report.data import Candidate, PriorityMap, ReportData
from autobertc.search.report.scene import Figure, Scene
from autobertc.search.report.statistics import Estimate, mean, spearman

BEST_SHARE = 0.2


@dataclass(frozen=True)
class HeatMap:
    """Cells [row][column] with a strength of 0 to 1 (None: crossed out), a text, and a tip each."""

    rows: Sequence[str]
    columns: Sequence[str]
    strengths: Sequence[Sequence[float | None]]
    texts: Callable[[int, int], str]
    hovers: Callable[[int, int], str]
    column_title: str
    marked: frozenset[tuple[int, int]] = frozenset()

    def draw(self, scene: Scene, width: float) -> float:
        """Draw it as wide as told, or less where cells would be wider than 56; returns the height."""
        left = max(text_width(row, SIZE) for row in self.rows) + 14
        cell = min(56.0, (width - left - 6) / len(self.columns))
        high = min(28.0, max(20.0, cell * 0.62))
        scene.text((left, 10), self.column_title, SMALL, "soft", "left")
        for column, name in enumerate(self.columns):
            scene.text((left + (column + 0.5) * cell, 28), fit(name, cell, SMALL), SMALL, "soft")
        for row, name in enumerate(self.rows):
            y = 40 + row * high
            scene.text((left - 8, y + high / 2), name, SIZE, "ink", "right")
            for column in range(len(self.columns)):
                self._cell(scene, (left + column * cell, y), (cell, high), row, column)
        return 40 + len(self.rows) * high + 6

    def _cell(self, scene: Scene, corner: Point, size: Point, row: int, column: int) -> None:
        strength = self.strengths[row][column]
        place, inner = (corner[0] + 1, corner[1] + 1), (size[0] - 2, size[1] - 2)
        middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
        scene.hover(self.hovers(row, column))
        if strength is None:
            scene.line([(middle[0] - 3, middle[1]), (middle[0] + 3, middle[1])], "faint")
            scene.hover("")
            return
        scene.box(place, inner, "sunken", radius=3)
        scene.box(place, inner, "accent", radius=3, opacity=round(min(1.0, strength), 3))
        text = self.texts(row, column)
        if text and text_width(text, 9) < size[0] - 3:
            scene.text(middle, text, 9, "on-accent" if strength > 0.5 else "ink")
        if (row, column) in self.marked:
            scene.line(_rectangle(place, inner), "ink", 1.8)
        scene.hover("")


def _rectangle(corner: Point, size: Point) -> list[Point]:
    (x, y), (w, h) = corner, size
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y - 0.9)]


def priority_map(priorities: PriorityMap, name: str, half: bool = False) -> Figure:
    """Probability of each choice at each position; a cell is as strong as its share of the likeliest in the map."""
    known = [share for row in priorities.probabilities for share in row if share is not None]
    top = max(known, default=1.0) or 1.0

    def probability(row: int, column: int) -> float | None:
        return priorities.probabilities[row][column]

    def text(row: int, column: int) -> str:
        share = probability(row, column)
        return "" if share is None else f"{100 * share:.0f}"

    def hover(row: int, column: int) -> str:
        share = probability(row, column)
        what = f"{priorities.rows[row]}, {priorities.columns[column]}"
        seen = f", {priorities.counts[row][column]} candidates" if priorities.counts else ""
        return f"{what}: " + ("no candidate had it" if share is None else f"probability {100 * share:.1f}%{seen}")

    strengths = [[None if share is None else share / top for share in row] for row in priorities.probabilities]
    columns = [name.removeprefix("position ").removeprefix("layer ") for name in priorities.columns]
    title = "layer" if any(name.startswith("layer ") for name in priorities.columns) else "position, in post-order"
    heat = HeatMap(priorities.rows, columns, strengths, text, hover, title)
    favourites = ", ".join(_favourites(priorities))
    label = f"Priorities, {priorities.title}, in percent: the likeliest are {favourites}."
    return Figure(name, label, heat.draw, (456.0 if half else 940.0, 350.0))


def _favourites(priorities: PriorityMap) -> list[str]:
    found = []
    for column, name in enumerate(priorities.columns):
        shares = [row[column] or 0.0 for row in priorities.probabilities]
        found.append(f"{priorities.rows[shares.index(max(shares))]} at {name}")
    return found


def layer_maps(data: ReportData) -> list[tuple[str, Figure]]:
    """How often each kind of layer stands where: among the random candidates and among the best, the winner's marked.
    With a title each."""
    done = data.complete()
    if not done or len({len(each.layers) for each in done}) != 1:
        return []
    best = sorted(done, key=lambda each: (-each.values[0], each.number))[: max(5, round(len(done) * BEST_SHARE))]
    groups = [("Random candidates", "random", [each for each in done if each.origin == "random"])]
    groups.append((f"The best {len(best)}", "best", best))
    winner = data.by_number().get(data.winner.number) if data.winner else None
    top = max(max(map(max, _shares(group))) for _, _, group in groups if group)
    return [
        (f"{title} ({len(group)})" if name == "random" else title, _layer_map(group, name, winner, top))
        for title, name, group in groups
        if group
    ]


_KINDS = (0, *KERNEL_SIZES)


def _shares(group: Sequence[Candidate]) -> list[list[float]]:
    """[kind][layer]"""
    layers = range(len(group[0].layers))
    return [[sum(each.layers[layer] == kind for each in group) / len(group) for layer in layers] for kind in _KINDS]


def _layer_map(group: Sequence[Candidate], name: str, winner: Candidate | None, top: float) -> Figure:
    kinds, layers, shares = _KINDS, len(group[0].layers), _shares(group)
    rows = ["attention" if kind == 0 else f"conv {kind}" for kind in kinds]
    own = winner.layers if winner else ()
    marked = frozenset((kinds.index(kind), layer) for layer, kind in enumerate(own) if kind in kinds)
    heat = HeatMap(
        rows,
        [str(layer + 1) for layer in range(layers)],
        [[share / top for share in row] for row in shares],
        lambda row, column: f"{100 * shares[row][column]:.0f}" if shares[row][column] else "",
        lambda row, column: f"{rows[row]} in layer {column + 1}: {100 * shares[row][column]:.0f}% of {len(group)}",
        "layer",
        marked,
    )
    label = f"Share of each kind of layer by layer, in percent, among {len(group)} candidates ({name})."
    return Figure(f"layers-{name}", label, heat.draw, (456.0, 350.0))


@dataclass(frozen=True)
class Effect:
    """Whether likelier draws gave better children: (geometric mean probability, gain over the parent) a child."""

    points: tuple[tuple[float, float], ...]
    rank: Estimate | None


def effect(data: ReportData) -> Effect:
    """The children whose draws, and whose parent's score, are known."""
    known = data.by_number()
    points = []
    for each in data.complete():
        parent = known.get(each.parents[0]) if each.parents else None
        if parent and parent.values and each.probabilities and min(each.probabilities) > 0:
            middle = exp(sum(map(log, each.probabilities)) / len(each.probabilities))
            points.append((middle, each.values[0] - parent.values[0]))
    return Effect(tuple(points), spearman([x for x, _ in points], [y for _, y in points]))


def effect_figure(found: Effect, objective: str) -> Figure:
    """Mean gain over the parent by fifths of the draw's probability."""
    points = sorted(found.points)
    parts = [points[len(points) * part // 5 : len(points) * (part + 1) // 5] for part in range(5)]
    groups = [part for part in parts if part]
    gains = [mean([gain for _, gain in group]) for group in groups]
    label = "Mean gain of a child over its parent, by the probability of its draws: " + ", ".join(
        f"{number(each.value, 2)}" for each in gains
    )

    def draw(scene: Scene, width: float) -> float:
        ends = [end for each in gains for end in (each.low, each.high, each.value) if end is not None]
        plot = Plot(scene, 56, 28, width - 68, 190, (-0.5, len(groups) - 0.5), padded([*ends, 0.0]))
        names = [_range_text(group) for group in groups]
        _frame(plot, "probability of the child's draws, %, in fifths", f"gain in {objective} over the parent", names)
        scene.line([plot.at(-0.5, 0), plot.at(len(groups) - 0.5, 0)], "ink", 1)
        for index, (group, each) in enumerate(zip(groups, gains, strict=True)):
            if each.low is not None and each.high is not None:
                scene.line([plot.at(index, each.low), plot.at(index, each.high)], "accent", 2)
            scene.hover(f"{len(group)} children: mean gain {number(each.value)}")
            scene.disc(plot.at(index, each.value), 5, "accent", "card")
        scene.hover("")
        return 28 + 190 + 44

    return Figure("priorities-effect", label, draw, (940.0, 350.0))


def _range_text(group: Sequence[tuple[float, float]]) -> str:
    low, high = 100 * group[0][0], 100 * group[-1][0]
    digits = 0 if high >= 10 else 1
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _frame(plot: Plot, x_title: str, y_title: str, names: Sequence[str]) -> None:
    """Axes with names instead of numbers along x."""
    scene, bottom = plot.scene, plot.top + plot.height
    marks = ticks(*plot.y_range, 4)
    for mark in marks:
        scene.line([(plot.left, plot.y(mark)), (plot.left + plot.width, plot.y(mark))], "line")
        scene.text((plot.left - 7, plot.y(mark)), tick_text(mark, marks), SMALL, "soft", "right")
    for index, name in enumerate(names):
        scene.text((plot.x(index), bottom + 14), name, SMALL, "soft")
    scene.text((plot.left + plot.width, bottom + 33), x_title, SMALL, "soft", "right")
    scene.text((4, plot.top - 16), y_title, SMALL, "soft", "left")
