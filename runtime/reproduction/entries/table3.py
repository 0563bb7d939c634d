"""Table 3: SQuAD, and parameters of the attention structures."""

from __future__ import annotations

from autobertc.runtime.reproduction import reasons
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.paper import SQUAD, TABLE3
from autobertc.runtime.reproduction.runs import Scores, pretrained, scored_spans
from autobertc.runtime.reproduction.scoring import order_findings, pretraining_table, structure_table
from autobertc.runtime.reproduction.tasks import squad_tasks

_TITLES = ("v1.1 EM", "v1.1 F1", "v2.0 EM", "v2.0 F1")


def make(context: Context) -> Section:
    """Five backbones on questions and answers."""
    tasks, real = squad_tasks(context)
    metrics, scores = {}, {}
    for row in TABLE3:
        assert row.example is not None
        folder, metrics[row.example] = pretrained(context, row.example)
        scores[row.example] = scored_spans(context, folder, tasks)
    told = (
        [] if real else ["The questions are sentences with a word left out, for SQuAD's were not to be had (`--data`)."]
    )
    return Section(
        done=(
            "The models of Table 2, fine-tuned on SQuAD 1.1 and 2.0."
            if real
            else "The models of Table 2, fine-tuned on questions in SQuAD's layout that are made of the text: "
            "which word is missing from a sentence of the passage; for version 2.0 a third of them are of "
            "another passage.",
        ),
        tables=(structure_table(TABLE3), pretraining_table(TABLE3, metrics), _table(scores)),
        findings=order_findings(TABLE3, scores, metrics),
        reasons=(*told, *reasons.of_training(context, scores, metrics), *reasons.of_rows(TABLE3)),
    )


def _table(scores: dict[str, Scores]) -> Table:
    rows = tuple(
        (
            row.title,
            *(
                f"{paper:.1f} / {scores[row.example or ''].columns[name]:.1f}"
                for name, paper in zip(SQUAD, row.scores, strict=True)
            ),
        )
        for row in TABLE3
    )
    return Table("Questions, development set: paper / ours", ("model", *_TITLES), rows)


ENTRIES = (Entry("table3", "SQuAD scores, parameters of the attention structures", make, order=3),)
