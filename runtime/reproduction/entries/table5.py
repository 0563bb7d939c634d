"""Table 5: attention only, convolution only."""

from __future__ import annotations

from autobertc.runtime.reproduction.entry import Context, Entry, Section
from autobertc.runtime.reproduction.paper import TABLE5
from autobertc.runtime.reproduction.scoring import score_rows, structure_table


def make(context: Context) -> Section:
    """The two ablations beside BERT and AutoBERT-Zero."""
    found = score_rows(context, TABLE5)
    return Section(
        done=(
            "For each convolution the attention layer directly behind it, and the convolution in front of each "
            "attention.",
        ),
        tables=(structure_table(TABLE5), found.pretraining, found.table),
        findings=found.findings,
        reasons=(
            "Convolution-only: the paper prints 15.4M, the number of the hybrid; twelve convolution layers as its text "
            "describes them have 14.2M.",
            *found.reasons,
        ),
    )


ENTRIES = (Entry("table5", "attention only, convolution only", make, order=5),)
