"""Table 2: GLUE, and the sizes of the base and large models."""

from __future__ import annotations

from autobertc.runtime.reproduction import reasons
from autobertc.runtime.reproduction.entry import Context, Entry, Section
from autobertc.runtime.reproduction.paper import TABLE2, TABLE2_LARGE, TABLE2_STARRED
from autobertc.runtime.reproduction.scoring import score_rows, size_table


def make(context: Context) -> Section:
    """The five backbones of the development set."""
    found = score_rows(context, TABLE2)
    return Section(
        done=(
            "Each backbone is pre-trained on masked words and next sentences with the paper's recipe of its size "
            "(Table 6), changed as below, and fine-tuned on each task.",
            f"The paper's row {TABLE2_STARRED.title} ({TABLE2_STARRED.average}) starts from a search's super-net: "
            "`table2-search`. The test set's labels are withheld: fine-tuning writes prediction files to hand in, and "
            "test rows are not filled here.",
        ),
        tables=(size_table((*TABLE2, *TABLE2_LARGE)), found.pretraining, found.table),
        findings=found.findings,
        reasons=(*reasons.EXACT, *found.reasons),
    )


ENTRIES = (Entry("table2", "GLUE scores, parameters and FLOPs", make, order=2),)
