"""A comparison for people: Markdown, and figures of the curves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autobertc.runtime.comparison.summary import EQUAL_FLOPS, HELD_OUT
from autobertc.runtime.markdown import markdown_table

COLUMNS = (
    "backbone",
    "lr",
    "held-out loss",
    "less the first's",
    "at equal FLOPs",
    "less the first's",
    "left plateau at step",
    "FLOPs",
    "tokens/s",
)
_PAGE = """\
# Comparison

{setting}

{table}

{conclusions}

![curves](curves.svg)

## How to read it

- Losses are in nats a masked word; lower is better. Held out: the mean over the documents that nothing was trained on.
  Ranges are Student's 95% intervals over {seeds}; differences are taken seed by seed.
- A model that knows how frequent words are, and nothing else, has the unigram entropy, {entropy:.3f} nats, as its loss
  ({held_out_unigram:.3f} on what was held out). A model has left that plateau at the step from which on its loss is
  less than 95% of it. While either of two is on it at the end, they are not ranked.
- At equal FLOPs: the loss in training at {budget:.3g} floating-point operations, the least that a whole run here takes.
  The learning rates of longer runs have not come down there, which is to their disadvantage.
- Learning rates are chosen by the held-out loss with the first {grid_seeds}, and those runs are in the means too.

## Learning rates

{grid}
"""


def spread(told: dict[str, Any] | None, form: str = "{:.4f}") -> str:
    """A mean and its interval in a cell."""
    if told is None:
        return ""
    shown = form.format(told["mean"])
    if told["low"] is None:
        return shown
    half = form.replace("+", "").format((told["high"] - told["low"]) / 2)
    return f"{shown} ± {half}"


def left(found: dict[str, Any]) -> str:
    """At which steps a contestant left the plateau."""
    steps = sorted(run["step"] for run in found["left_plateau"] if run["step"] is not None)
    missing = len(found["left_plateau"]) - len(steps)
    shown = "" if not steps else f"{steps[0]:,}" if steps[0] == steps[-1] else f"{steps[0]:,} to {steps[-1]:,}"
    if missing:
        return ", ".join(filter(None, [shown, f"never in {missing} of {len(found['left_plateau'])}"]))
    return shown


def rows(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table: names of columns, and a row for each contestant in the order they were given."""
    differences = {pair["other"]: pair["differences"] for pair in summary["pairs"]}
    tasks = list(dict.fromkeys(task for each in summary["contestants"].values() for task in each["tasks"]))
    metrics = {task: each["tasks"][task] for each in summary["contestants"].values() for task in each["tasks"]}
    table = []
    for name, found in summary["contestants"].items():
        less, measures = differences.get(name, {}), found["measures"]
        row = [
            name,
            f"{found['learning_rate']:g}{' (edge)' if found['edge'] else ''}",
            spread(measures[HELD_OUT]),
            spread(less.get(HELD_OUT), "{:+.4f}"),
            spread(measures[EQUAL_FLOPS]),
            spread(less.get(EQUAL_FLOPS), "{:+.4f}"),
            left(found),
            f"{found['training_flops']:.3g}",
            f"{found['tokens_per_second']:,.0f}",
        ]
        for task in tasks:
            row += [spread(measures.get(f"task {task}")), spread(less.get(f"task {task}"), "{:+.4f}")]
        table.append(row)
    titles = [title for task in tasks for title in (f"{task} ({metrics[task]})", "less the first's")]
    return [*COLUMNS, *titles], table


def conclusions(summary: dict[str, Any]) -> list[str]:
    """What can be said of each pair, and of learning rates at the edge of what was tried."""
    lines = [f"{pair['other']} beside {pair['first']}: {pair['conclusion']}" for pair in summary["pairs"]]
    for name, found in summary["contestants"].items():
        if found["edge"]:
            lines.append(
                f"{name}: its best learning rate, {found['learning_rate']:g}, is at the edge of those tried; "
                "a better one may lie beyond (--lr)"
            )
    return lines


def page(summary: dict[str, Any]) -> str:
    """All of it as Markdown."""
    settings = summary["settings"]
    count, grid_seeds = len(settings["seeds"]), settings["grid_seeds"]
    recipe = settings["recipe"]
    setting = (
        f"{summary['steps']:,} steps of {recipe['batch']} sequences of {recipe['length']} tokens, "
        f"{settings['data']}, vocabulary {settings['vocabulary']:,}, seeds {', '.join(map(str, settings['seeds']))}; "
        f"{settings['device']}."
    )
    columns, table = rows(summary)
    return _PAGE.format(
        setting=setting,
        table=markdown_table(columns, table),
        conclusions="\n".join(f"- {line}." for line in conclusions(summary)),
        seeds=f"{count} seed{'s' * (count != 1)}",
        grid_seeds=f"{grid_seeds} seed{'s' * (grid_seeds != 1)}",
        entropy=summary["unigram_entropy"],
        held_out_unigram=summary["held_out_unigram_loss"],
        budget=summary["flops_budget"],
        grid=_grid(summary),
    )


def _grid(summary: dict[str, Any]) -> str:
    rates = sorted({point["learning_rate"] for each in summary["contestants"].values() for point in each["grid"]})
    table = []
    for name, found in summary["contestants"].items():
        losses = {point["learning_rate"]: point["held_out_loss"] for point in found["grid"]}
        cells = []
        for rate in rates:
            values = ["diverged" if loss is None else f"{loss:.4f}" for loss in losses.get(rate, {}).values()]
            shown = ", ".join(values)
            cells.append(f"**{shown}**" if rate == found["learning_rate"] else shown)
        table.append([name, *cells])
    return markdown_table(["held-out loss by seed", *(f"{rate:g}" for rate in rates)], table)


def draw(summary: dict[str, Any], paths: Iterable[Path]) -> None:
    """Loss in training by step, seconds and FLOPs: means over seeds, and from the lowest to the highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("step", "step"), ("seconds", "seconds of training"), ("flops", "floating-point operations"))
    for number, (part, (axis, title)) in enumerate(zip(figure.subplots(1, 3, sharey=True), panels, strict=True)):
        for name, found in summary["contestants"].items():
            curve = found["curve"]
            (line,) = part.plot(curve[axis], curve["loss"], label=name, linewidth=1.2)
            part.fill_between(curve[axis], curve["lowest"], curve["highest"], color=line.get_color(), alpha=0.2)
        part.axhline(summary["unigram_entropy"], color="grey", linestyle=":", linewidth=1, label="unigram entropy")
        if axis == "flops":
            part.axvline(summary["flops_budget"], color="grey", linewidth=0.8)
        part.set_xlabel(title, fontsize=9)
        part.tick_params(labelsize=8)
        if number == 0:
            part.set_ylabel("loss, nats a masked word", fontsize=9)
            part.legend(fontsize=8)
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
