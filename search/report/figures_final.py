"""Figures of training from scratch: the contenders with their intervals, and search against full training."""

from __future__ import annotations

from autobertc.runtime.drawing.canvas import fit
from autobertc.search.report.axes import SIZE, SMALL, Plot, number, padded, tick_text, ticks
from autobertc.search.report.data import Contender, Fidelity, LastStage
from autobertc.search.report.scene import Figure, Scene
from autobertc.search.report.statistics import Estimate, kendall, mean

ROLE_COLOURS = {"winner": "accent", "top": "accent", "random": "second", "random median": "second", "bert": "third"}


def forest(stage: LastStage) -> Figure:
    """Each contender's mean with its interval, and its seeds as faint dots."""
    estimates = [mean(each.known) for each in stage.contenders]
    label = f"{stage.metric} of {len(stage.contenders)} contenders: " + "; ".join(
        f"{each.name} {number(estimate.value)}" for each, estimate in zip(stage.contenders, estimates, strict=True)
    )

    def draw(scene: Scene, width: float) -> float:
        wide = width > 500
        left, row = (210.0, 30.0) if wide else (10.0, 46.0)
        height = row * len(stage.contenders)
        values = [score for each in stage.contenders for score in each.known]
        values += [end for each in estimates for end in (each.low, each.high) if end is not None]
        plot = Plot(scene, left, 12, width - left - 14, height, padded(values), (0, 1))
        marks = ticks(*plot.x_range, 6 if wide else 4)
        for mark in marks:
            scene.line([(plot.x(mark), 8), (plot.x(mark), 12 + height)], "line")
            scene.text((plot.x(mark), height + 25), tick_text(mark, marks), SMALL, "soft")
        scene.text((width - 14, height + 43), f"{stage.metric}, after training from scratch", SMALL, "soft", "right")
        for index, (each, estimate) in enumerate(zip(stage.contenders, estimates, strict=True)):
            y = 12 + row * (index + (0.5 if wide else 0.66))
            name = fit(each.name, left - 18 if wide else width - 20, SIZE)
            at = (left - 12, y) if wide else (left, y - 19)
            scene.text(at, name, SIZE, "ink", "right" if wide else "left", bold=each.role == "winner")
            _interval(plot, each, estimate, y)
        return height + 54

    return Figure("last-stage", label, draw, (940.0, 350.0))


def _interval(plot: Plot, contender: Contender, estimate: Estimate, y: float) -> None:
    scene, colour = plot.scene, ROLE_COLOURS.get(contender.role, "soft")
    for score in contender.known:
        scene.disc((plot.x(score), y), 3, colour, opacity=0.35)
    if estimate.low is not None and estimate.high is not None:
        scene.line([(plot.x(estimate.low), y), (plot.x(estimate.high), y)], colour, 2)
        for end in (estimate.low, estimate.high):
            scene.line([(plot.x(end), y - 5), (plot.x(end), y + 5)], colour, 2)
    scene.hover(f"{contender.name}: {number(estimate.value)}")
    scene.disc((plot.x(estimate.value), y), 5, colour, "card")
    scene.hover("")


def scatters(fidelity: tuple[Fidelity, ...]) -> list[Figure]:
    """Search score against full training, a panel for each task, as the paper's Figure 8."""
    return [_scatter(each) for each in fidelity if each.points]


def _scatter(task: Fidelity) -> Figure:
    xs, ys = [point[1] for point in task.points], [point[2] for point in task.points]
    told = describe_tau(tau_of(task))
    label = f"{task.task}: full training against search, {len(xs)} architectures, {told}"

    def draw(scene: Scene, width: float) -> float:
        scene.text((4, 10), fit(task.task, width - 10, 13, bold=True), 13, "ink", "left", bold=True)
        scene.text((4, 28), told, SMALL, "soft", "left")
        plot = Plot(scene, 44, 64, width - 56, 150, padded(xs, 0.1), padded(ys, 0.1))
        plot.frame("search score", "full training")
        for name, x, y in task.points:
            scene.hover(f"{name}: {number(x)} in the search, {number(y)} in full")
            scene.disc(plot.at(x, y), 4, "accent", "card")
        scene.hover("")
        return 64 + 150 + 40

    safe = "".join(part if part.isalnum() else "-" for part in task.task.lower()) or "task"
    return Figure(f"fidelity-{safe}", label, draw, (292.0, 350.0))


def tau_of(task: Fidelity) -> Estimate | None:
    """Kendall's tau between search and full training."""
    return kendall([x for _, x, _ in task.points], [y for _, _, y in task.points])


def describe_tau(tau: Estimate | None) -> str:
    """Kendall's tau with its interval, or why there is none."""
    if tau is None:
        return "too few points for τ"
    if tau.low is None or tau.high is None:
        return f"τ = {tau.value:.2f}".replace("-", "−")  # noqa: RUF001
    return f"τ = {tau.value:.2f} [{tau.low:.2f}, {tau.high:.2f}]".replace("-", "−")  # noqa: RUF001
