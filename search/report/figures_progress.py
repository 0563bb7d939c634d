"""Figures of a search's course: the best score against what it cost, and the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import numpy as np

from autobertc.runtime.drawing.shapes import Align
from autobertc.search.report.axes import SMALL, Plot, legend, number, padded
from autobertc.search.report.data import Candidate, Objective, ReportData
from autobertc.search.report.scene import Figure, Scene
from autobertc.search.report.statistics import best_so_far, front

Measure = Callable[[Candidate], float]


def progress(data: ReportData) -> list[Figure]:
    """The best score against candidates, and against time and device time where these are known."""
    done = data.complete()
    if not done:
        return []
    name = data.objectives[0].name
    figures = [_against(data, "candidates", f"Best {name} against candidates", "candidates evaluated", _by_count(done))]
    if any(each.finished for each in done):
        scale, unit = _unit(max(each.finished for each in done))
        times = [each.finished / scale for each in done]
        title = f"wall-clock time, {unit}"
        figures.append(_against(data, "time", f"Best {name} against time", title, times, half=True))
    if any(each.device_seconds for each in done):
        device = data.ledger.device.split()[-1] if data.ledger else "device"
        spent = np.cumsum([each.device_seconds for each in data.candidates])
        at = {each.number: float(total) for each, total in zip(data.candidates, spent, strict=True)}
        scale, unit = _unit(float(spent[-1]))
        costs = [at[each.number] / scale for each in done]
        title = f"{device} time of the candidates, {unit}"
        figures.append(_against(data, "cost", f"Best {name} against {device} time", title, costs, half=True))
    return figures


def _by_count(done: Sequence[Candidate]) -> list[float]:
    return [float(index) for index in range(1, len(done) + 1)]


def _unit(seconds: float) -> tuple[float, str]:
    if seconds > 7200:
        return 3600.0, "hours"
    return (60.0, "minutes") if seconds > 120 else (1.0, "seconds")


def visible_range(values: Sequence[float], random: Sequence[float] = ()) -> tuple[float, float]:
    """The range to show: all, but for far outliers at the low end, which are drawn on the edge. Most of the random
    ones are no outliers."""
    low, quarter, three, high = np.quantile(values, [0, 0.25, 0.75, 1])
    least = float(quarter - 3 * (three - quarter))
    if random:
        least = min(least, float(np.quantile(random, 0.1)))
    return padded([max(float(low), least), float(high)])


def _against(data: ReportData, name: str, label: str, title: str, xs: Sequence[float], half: bool = False) -> Figure:
    done, objective = data.complete(), data.objectives[0]
    order = sorted(range(len(done)), key=lambda index: (xs[index], done[index].number))
    values = [done[index].values[0] for index in order]
    best = best_so_far(values)
    random = [each.values[0] for each in done if each.origin == "random"]
    end = f"{label}: from {_shown(objective, best[0])} to {_shown(objective, best[-1])} over {len(done)} candidates."

    def draw(scene: Scene, width: float) -> float:
        entries = [("line", "accent", "best so far"), ("dot", "second", "random"), ("dot", "third", "child")]
        if random:
            entries.append(("dashes", "second", "median of random"))
        top = legend(scene, (4, 10), width - 8, entries) + 34
        height = 210.0 if half or width < 500 else 270.0
        ends = (0.0, max(xs) * 1.02 or 1.0)
        plot = Plot(scene, 46, top, width - 56, height, ends, visible_range(values, random))
        plot.frame(title, _axis(objective))
        for index in order:
            _point(plot, objective, done[index], xs[index])
        if random:
            middle = median(random)
            scene.line([plot.at(0, middle), plot.at(ends[1], middle)], "second", 1.3, dashed=True)
        steps = [plot.at(xs[order[0]], best[0])]
        for index, value in zip(order[1:], best[1:], strict=True):
            if plot.y(value) != steps[-1][1]:
                steps += [(plot.x(xs[index]), steps[-1][1]), plot.at(xs[index], value)]
        steps.append((plot.x(ends[1]), steps[-1][1]))
        scene.line(steps, "accent", 2.2)
        return top + height + 42

    return Figure(f"progress-{name}", end, draw, (456.0 if half else 940.0, 350.0))


def _axis(objective: Objective) -> str:
    return objective.name + (f", {objective.unit}" if objective.unit else "")


def _shown(objective: Objective, value: float) -> str:
    return number(objective.sign * value) + (f" {objective.unit}" if objective.unit else "")


def _point(plot: Plot, objective: Objective, candidate: Candidate, x: float) -> None:
    value = candidate.values[0]
    plot.scene.hover(
        f"candidate {candidate.number}, round {candidate.round}, {candidate.origin}: {_shown(objective, value)}"
    )
    colour = "second" if candidate.origin == "random" else "third"
    plot.scene.disc(plot.at(x, value), 3, colour, opacity=0.5)
    plot.scene.hover("")


def pareto(data: ReportData) -> Figure | None:
    """The first objective against the second, with the front; None with one objective or no candidate."""
    done = [each for each in data.complete() if len(each.values) > 1]
    if len(data.objectives) < 2 or not done:
        return None
    points = [each.values[:2] for each in done]
    kept = sorted(front(points), key=lambda index: points[index][1])
    first, second = data.objectives[:2]
    label = f"{first.name} against {second.name}: {len(kept)} of {len(done)} candidates are on the Pareto front."

    def draw(scene: Scene, width: float) -> float:
        entries = [("dot", "accent", "on the front"), ("dot", "faint", "dominated"), ("ring", "ink", "winner")]
        top = legend(scene, (4, 10), width - 8, entries) + 34
        height = 270.0 if width > 500 else 230.0
        xs = [second.sign * point[1] for point in points]
        ys = [first.sign * point[0] for point in points]
        low, high = visible_range([point[0] for point in points])
        y_range = (low, high) if first.sign > 0 else (-high, -low)
        plot = Plot(scene, 46, top, width - 64, height, padded(xs), y_range)
        plot.frame(_axis(second), _axis(first))
        on_front = set(kept)
        for index in sorted(range(len(done)), key=on_front.__contains__):
            scene.hover(f"candidate {done[index].number}: {number(ys[index])}, {number(xs[index])}")
            chosen = index in on_front
            scene.disc(plot.at(xs[index], ys[index]), 4.2 if chosen else 3, "accent" if chosen else "faint")
        scene.hover("")
        scene.line(_stairs(plot, [(xs[index], ys[index]) for index in kept]), "accent", 1.5)
        for index, each in enumerate(done):
            if data.winner and each.number == data.winner.number:
                x, y = plot.at(xs[index], ys[index])
                scene.line([(x + 8.5 * a, y + 8.5 * b) for a, b in _CIRCLE], "ink", 1.4)
                side = 13 if x < width - 110 else -13
                align: Align = "left" if side > 0 else "right"
                scene.text((x + side, y + 8), f"winner, {each.number}", SMALL, "ink", align)
        return top + height + 42

    return Figure("pareto", label, draw, (940.0, 350.0))


_CIRCLE = [(float(np.cos(turn)), float(np.sin(turn))) for turn in np.linspace(0, 2 * np.pi, 33)]


def _stairs(plot: Plot, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The edge of what the front dominates. `points` are ordered by the second objective, so the next one is better
    there and worse in the first."""
    line = [plot.at(*points[0])]
    for (x, _), (u, v) in pairwise(points):
        line += [plot.at(x, v), plot.at(u, v)]
    return line
