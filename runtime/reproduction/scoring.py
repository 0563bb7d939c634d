"""What Tables 2, 4 and 5 share: exact sizes, and models pre-trained and scored, beside the paper's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from scipy.stats import kendalltau

from autobertc.runtime.flops import electra_flops, plain_flops
from autobertc.runtime.inspection import count_parameters
from autobertc.runtime.reproduction import reasons, tasks
from autobertc.runtime.reproduction.backbones import example
from autobertc.runtime.reproduction.entry import Context, Table
from autobertc.runtime.reproduction.paper import GLUE, GLUE_TITLES, Row
from autobertc.runtime.reproduction.runs import Scores, pretrained, scored

LENGTH = 128
NOTHING = "-"


@dataclass(frozen=True)
class Scored:
    """Rows trained and scored.

    Attributes:
        table: scores beside the paper's.
        pretraining: losses.
        findings, reasons: as a section has them.
        scores: by example.
    """

    table: Table
    pretraining: Table
    findings: tuple[str, ...]
    reasons: tuple[str, ...]
    scores: dict[str, Scores]


@cache
def parameters(name: str, part: str = "total") -> int:
    """Of a backbone of examples/, the base model with pooler; `structure` for the attention structures."""
    return count_parameters(example(name))[part]


def millions(count: float | None) -> str:
    """As the tables print it."""
    return NOTHING if count is None else f"{count / 1e6:.1f}M"


def _printed(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)


def size_table(rows: Sequence[Row], title: str = "Sizes, exact at every scale") -> Table:
    """Parameters and FLOPs of the paper's full-sized backbones."""
    found = []
    for row in rows:
        assert row.example is not None
        architecture = example(row.example)
        found.append(
            (
                row.title,
                _printed(row.parameters, "{:g}M"),
                millions(parameters(row.example)),
                scientific(row.flops),
                scientific(electra_flops(architecture, LENGTH).total),
                scientific(plain_flops(architecture, LENGTH).total),
            )
        )
    header = ("model", "parameters: paper", "ours", "FLOPs: paper", "ours", "ours, plain count")
    return Table(title, header, tuple(found))


def structure_table(rows: Sequence[Row]) -> Table:
    """Parameters of attention structures."""
    found = tuple(
        (row.title, _printed(row.structure, "{:g}M"), millions(parameters(row.example, "structure")))
        for row in rows
        if row.example is not None
    )
    return Table("Parameters of the attention structures, exact at every scale", ("model", "paper", "ours"), found)


def scientific(value: float | None) -> str:
    """2.9e10, as the paper prints FLOPs."""
    if value is None:
        return NOTHING
    exponent = math.floor(math.log10(value))
    mantissa = f"{value / 10**exponent:.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return f"{mantissa}e{exponent}"


def score_rows(context: Context, rows: Sequence[Row], accuracies: bool = False, seeds: int = 1) -> Scored:
    """Pre-train and fine-tune the rows' backbones, and set the scores beside the paper's."""
    found, glue = tasks.glue_tasks(context)
    metrics: dict[str, dict[str, Any]] = {}
    scores: dict[str, Scores] = {}
    for row in rows:
        assert row.example is not None
        folder, metrics[row.example] = pretrained(context, row.example)
        scores[row.example] = scored(context, folder, found, glue, accuracies, seeds)
    return Scored(
        table=_glue_table(rows, scores) if glue else _stand_in_table(rows, scores),
        pretraining=pretraining_table(rows, metrics),
        findings=order_findings(rows, scores, metrics),
        reasons=(
            *reasons.of_training(context, scores, metrics),
            *reasons.of_tasks(context, glue, seeds),
            *reasons.of_rows(rows),
        ),
        scores=scores,
    )


def _glue_table(rows: Sequence[Row], scores: dict[str, Scores]) -> Table:
    found = []
    for row in rows:
        ours = scores[row.example or ""]
        papers = dict(zip(GLUE, row.scores, strict=False))
        cells = [f"{_printed(papers.get(name), '{:.1f}')} / {ours.columns[name]:.1f}" for name in GLUE]
        found.append((row.title, *cells, f"{_printed(row.average, '{:.1f}')} / {ours.average:.1f}"))
    return Table("GLUE, development set: paper / ours", ("model", *GLUE_TITLES.values(), "average"), tuple(found))


def _stand_in_table(rows: Sequence[Row], scores: dict[str, Scores]) -> Table:
    names = list(next(iter(scores.values())).columns)
    found = tuple(
        (
            row.title,
            _printed(row.average, "{:.1f}"),
            *(f"{scores[row.example or ''].columns[name]:.1f}" for name in names),
            f"{scores[row.example or ''].average:.1f}",
        )
        for row in rows
    )
    header = ("model", "GLUE: paper", *(f"{name}: ours" for name in names), "mean: ours")
    return Table("Stand-in tasks, validation split", header, found)


def pretraining_table(rows: Sequence[Row], metrics: dict[str, dict[str, Any]]) -> Table:
    """Losses of masked words, beside that of a model that knows frequencies only."""
    found = []
    for row in rows:
        each = metrics[row.example or ""]
        held_out = "held_out_mlm_loss" in each
        names = ("held_out_mlm_loss", "held_out_unigram_loss") if held_out else ("mlm_loss", "unigram_entropy")
        found.append((row.title, f"{each['steps']:,}", *(_printed(each.get(name), "{:.3f}") for name in names)))
    what = "loss of masked words" + (", held out" if held_out else "")
    return Table("Pre-training", ("model", "steps", what, "of word frequencies only"), tuple(found))


def order_findings(
    rows: Sequence[Row], scores: dict[str, Scores], metrics: dict[str, dict[str, Any]]
) -> tuple[str, ...]:
    """Whether the models come in the paper's order; nothing is said of it while one is on the plateau."""
    if plateau := reasons.on_plateau(metrics):
        return (f"No order is stated: {len(plateau)} of {len(rows)} models know no more than how frequent words are.",)
    papers = [row.average if row.average is not None else sum(row.scores) / len(row.scores) for row in rows]
    ours = [scores[row.example or ""].average for row in rows]
    best = rows[papers.index(max(papers))].title
    here = [row.title for row, score in zip(rows, ours, strict=True) if score == max(ours)]
    same = "also here" if here == [best] else f"here it is {' and '.join(here)}"
    tau = kendalltau(papers, ours).statistic
    shown = f"Kendall's tau of the paper's order and ours is {tau:.2f}" if math.isfinite(tau) else "Tau is undefined"
    return (f"The paper's best of these is {best}; {same}. {shown}, over {len(rows)} models.",)
