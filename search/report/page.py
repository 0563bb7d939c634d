"""The page: what goes where, in words and figures that the template only has to place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from autobertc.dsl import parse
from autobertc.dsl.architecture import Architecture
from autobertc.dsl.source import AbzError
from autobertc.runtime.drawing import compose
from autobertc.runtime.drawing.palette import KERNELS, on
from autobertc.search.report import sentences
from autobertc.search.report.axes import device_time, duration, magnitude, number, plural
from autobertc.search.report.data import Candidate, Contender, LastStage, ReportData
from autobertc.search.report.drawing import Drawing
from autobertc.search.report.figures_final import ROLE_COLOURS, describe_tau, forest, scatters, tau_of
from autobertc.search.report.figures_maps import effect, effect_figure, layer_maps, priority_map
from autobertc.search.report.figures_progress import pareto, progress
from autobertc.search.report.lineage import Step, lineage
from autobertc.search.report.scene import DARK, LIGHT, Figure, Scene
from autobertc.search.report.statistics import mean, paired

MAX_FAILURES, TOP = 40, 8
_ATTENTION = "#E9D9B8"


@dataclass
class Page:
    """The page under construction: its figures are collected as they are placed."""

    data: ReportData
    figures: list[Figure] = field(default_factory=list)

    def place(self, figure: Figure | None) -> str | None:
        """The figure's HTML, remembered for its PNG."""
        if figure is None:
            return None
        self.figures.append(figure)
        return figure.html()

    def html(self) -> str:
        """The whole page."""
        environment = Environment(
            loader=PackageLoader("autobertc.search.report", "."),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"number": number, "duration": duration}
        return environment.get_template("page.html.jinja").render(
            data=self.data, **self._head(), **self._results(), **self._course(), **self._search()
        )

    def _head(self) -> dict[str, Any]:
        data = self.data
        headline, basis = sentences.verdict(data)
        facts = [data.strategy, data.proxy and f"scored by {data.proxy}"]
        facts += [plural(data.workers, "worker"), data.started]
        return {
            "light": LIGHT,
            "dark": DARK,
            "headline": headline,
            "basis": basis,
            "facts": [fact for fact in facts if fact],
            "tiles": self._tiles(),
            "gate": sentences.about_gate(data.gate),
            "gate_passed": data.gate is not None and data.gate.passed,
        }

    def _tiles(self) -> list[tuple[str, str, str]]:
        data, done = self.data, self.data.complete()
        rounds = len({each.round for each in data.candidates})
        tiles = [("candidates", f"{len(data.candidates):,}", f"in {plural(rounds, 'round')}")]
        if done:
            best = max(done, key=lambda each: (each.values[0], -each.number))
            objective = data.objectives[0]
            shown = number(objective.sign * best.values[0])
            tiles.append((f"best {objective.name}", shown, f"candidate {best.number}, search score"))
        if data.seconds:
            rate = len(data.candidates) / data.seconds * 60
            tiles.append(("wall-clock time", duration(data.seconds), f"{number(rate, 2)} candidates a minute"))
        spent = sentences.spent_seconds(data)
        if spent:
            device = data.ledger.device.split()[-1] if data.ledger else "device"
            tiles.append((f"{device} time", duration(spent), "of candidates, without the last stage"))
        return tiles

    def _results(self) -> dict[str, Any]:
        stage = self.data.last_stage
        shown = stage is not None and any(each.known for each in stage.contenders)
        return {
            "stage": self._last_stage(stage) if stage and shown else None,
            "fidelity": [self.place(each) for each in scatters(self.data.fidelity)],
            "taus": [(each.task, len(each.points), describe_tau(tau_of(each))) for each in self.data.fidelity],
            "about_fidelity": sentences.about_fidelity(self.data),
        }

    def _last_stage(self, stage: LastStage) -> dict[str, Any]:
        scored = [each for each in stage.contenders if each.known]
        stage = LastStage(stage.metric, stage.equal, stage.seeds, tuple(scored))
        base = sentences.find(stage, "random median", "random")
        tasks = list(dict.fromkeys(task for each in scored for task in each.tasks))
        places = _places(scored, base)
        return {
            "metric": stage.metric,
            "equal": stage.equal,
            "seeds": len(stage.seeds),
            "base": base.name if base else None,
            "tasks": tasks,
            "rows": [_row(each, base, tasks, places) for each in scored],
            "figure": self.place(forest(stage)),
            "steps_known": any(each.steps for each in scored),
            "flops_known": any(each.training_flops for each in scored),
            "time_known": any(each.seconds for each in scored),
            "parameters_known": any(each.parameters for each in scored),
        }

    def _course(self) -> dict[str, Any]:
        data = self.data
        return {
            "progress": [self.place(each) for each in progress(data)],
            "best": [_candidate(data, each) for each in _top(data)],
            "task_names": list(dict.fromkeys(task for each in _top(data) for task in each.scores)),
            "about_cost": sentences.about_cost(data),
            "ledger": ledger(data),
            "parts": _parts(data),
            "pareto": self.place(pareto(data)),
        }

    def _search(self) -> dict[str, Any]:
        data = self.data
        found = effect(data)
        names = [f"priorities-{index + 1}" for index in range(len(data.priorities))]
        maps = [
            (each.title, self.place(priority_map(each, name, half=index > 1)))
            for index, (each, name) in enumerate(zip(data.priorities, names, strict=True))
        ]
        enough = len(found.points) >= 10
        return {
            "maps": maps,
            "about_effect": sentences.about_effect(found),
            "effect": self.place(effect_figure(found, data.objectives[0].name)) if enough else None,
            "layers": [(title, self.place(figure)) for title, figure in layer_maps(data)],
            "steps": [_step(self, each) for each in lineage(data)],
            "outcomes": _outcomes(data),
            "reasons": _reasons(data),
            "failures": [each for each in data.candidates if each.state == "failed"][:MAX_FAILURES],
            "more_failures": max(0, sum(each.state == "failed" for each in data.candidates) - MAX_FAILURES),
            "drawing": self.place(_drawing(data)),
        }


def _places(scored: list[Contender], base: Contender | None) -> tuple[int, int]:
    """Decimals for the column of scores and that of differences: what the widest interval of each is worth."""
    differences = [paired(each.scores, base.scores) for each in scored if base and each is not base]
    columns = [mean(each.known) for each in scored], [each for each in differences if each]
    return sentences.common_places(columns[0]), sentences.common_places(columns[1])


def _row(each: Contender, base: Contender | None, tasks: list[str], places: tuple[int, int]) -> dict[str, Any]:
    difference = paired(each.scores, base.scores) if base and each is not base else None
    return {
        "name": each.name,
        "winner": each.role == "winner",
        "colour": ROLE_COLOURS.get(each.role, "soft"),
        "score": sentences.interval(mean(each.known), places=places[0]),
        "difference": sentences.interval(difference, signed=True, places=places[1]) if difference else "",
        "stands_out": difference is not None and difference.excludes_zero,
        "tasks": [number(mean(each.tasks[task]).value) if each.tasks.get(task) else "" for task in tasks],
        "steps": f"{each.steps:,}" if each.steps else "",
        "flops": magnitude(each.training_flops) if each.training_flops else "",
        "time": duration(mean(each.seconds).value) if each.seconds else "",
        "parameters": magnitude(each.parameters) if each.parameters else "",
    }


def _top(data: ReportData) -> list[Candidate]:
    return sorted(data.complete(), key=lambda each: (-each.values[0], each.number))[:TOP]


def _candidate(data: ReportData, each: Candidate) -> dict[str, Any]:
    values = [number(objective.sign * value) for objective, value in zip(data.objectives, each.values, strict=False)]
    chips = []
    for kernel in each.layers:
        fill = KERNELS.get(kernel, _ATTENTION)
        name = f"convolution {kernel}" if kernel else "attention"
        chips.append((str(kernel) if kernel else "A", fill, on(fill), name))
    return {"candidate": each, "values": values, "chips": chips}


def ledger(data: ReportData) -> list[tuple[str, str, str, str]]:
    """What, candidates, device-hours, hours a candidate."""
    count, spent = len(data.candidates), sentences.spent_seconds(data)
    if not count or not spent or data.ledger is None:
        return []
    device, shared = data.ledger.device, data.ledger.sharing
    with_or_without = "with" if shared else "without"
    rows = [_ledger_row(f"this search, {with_or_without} shared weights, measured", f"{count:,}", spent, count, device)]
    if shared:
        without = sentences.without_sharing(data.ledger, count)
        rows.append(_ledger_row("this search, without, estimated", f"{count:,}", without, count, device))
    stage = data.last_stage
    if stage and (final := sum(sum(each.seconds) for each in stage.contenders)):
        runs = sum(len(each.seconds) for each in stage.contenders)
        rows.append(_ledger_row("the last stage, from scratch, measured", plural(runs, "run"), final, runs, device))
    return [*rows, *_PUBLISHED]


_PUBLISHED = [
    ("AutoBERT-Zero, with shared weights, as published", "760+", "24,000 V100-hours", "about 32 h"),
    ("AutoBERT-Zero, without, estimated there", "760+", "182,000 V100-hours", "about 240 h"),
]


def _ledger_row(what: str, how_many: str, seconds: float | None, count: int, device: str) -> tuple[str, str, str, str]:
    if seconds is None:
        return what, how_many, "not measured", "not measured"
    return what, how_many, device_time(seconds, device), duration(seconds / count)


def _parts(data: ReportData) -> list[tuple[str, str, float]]:
    parts = data.ledger.parts if data.ledger else {}
    total = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return [(name, duration(seconds), seconds / total) for name, seconds in ordered if total and seconds > 0]


def _step(page: Page, step: Step) -> dict[str, Any]:
    each, objective = step.candidate, page.data.objectives[0]
    gain = None if step.gain is None else objective.sign * step.gain
    return {
        "candidate": each,
        "score": number(objective.sign * each.values[0]) if each.values else "no score",
        "gain": None if gain is None else ("+" if gain > 0 else "") + number(gain, 2),
        "good": step.gain is not None and step.gain > 0,
        "strip": page.place(step.strip),
        "changes": [(f"layer {each.layer} {each.verb}", each.text, page.place(each.graph)) for each in step.changes],
    }


def _outcomes(data: ReportData) -> list[tuple[str, str, int, float]]:
    """Outcome, colour, count, and share of the draws."""
    states = Counter(each.state for each in data.candidates)
    rows = [
        ("evaluated to the end", "accent", states["complete"]),
        ("stopped at a hurdle", "third", states["stopped"]),
        ("failed", "bad", states["failed"]),
        ("duplicates, drawn again", "faint", data.duplicates),
    ]
    for reason, count in Counter(data.rejections).most_common():
        rows.append((f"rejected: {reason}", "faint", count))
    total = max(1, data.proposed, sum(count for *_, count in rows))
    return [(name, colour, count, count / total) for name, colour, count in rows]


def _reasons(data: ReportData) -> list[tuple[str, int]]:
    failed = [each for each in data.candidates if each.state == "failed"]
    return Counter(each.reason or "no reason recorded" for each in failed).most_common()


def _drawing(data: ReportData) -> Figure | None:
    architecture = _architecture(data)
    if architecture is None:
        return None
    width, _ = compose(Scene(), architecture)

    def draw(scene: Scene, given: float) -> float:
        return compose(scene, architecture)[1]

    count = plural(len(architecture.layers), "layer")
    label = f"The winner, {architecture.name}: {count} in a row, and each program as a graph."
    return Figure("winner", label, draw, (width, width), Drawing)


def _architecture(data: ReportData) -> Architecture | None:
    try:
        return parse(data.winner.genome) if data.winner else None
    except AbzError:
        return None
