"""Table 4: small and large models."""

from __future__ import annotations

from autobertc.runtime.reproduction import reasons
from autobertc.runtime.reproduction.entry import Context, Entry, Section
from autobertc.runtime.reproduction.paper import TABLE4
from autobertc.runtime.reproduction.scoring import score_rows, size_table

_SEEDS = 3  # the paper's small models are medians of 3


def make(context: Context) -> Section:
    """BERT and AutoBERT-Zero at two sizes; GLUE's average with the accuracy of MRPC and QQP."""
    small, large = TABLE4[:2], TABLE4[2:]
    seeds = _SEEDS if context.scale.rank else 1
    found = score_rows(context, small, accuracies=True, seeds=seeds)
    other = score_rows(context, large)
    return Section(
        done=(
            f"The small models' scores are medians of {seeds} run{'s' * (seeds != 1)}, and GLUE's average takes their "
            "accuracy on MRPC and QQP; the large models' are as in Table 2.",
            "Large has each block of two layers twice (`autobertc scale --to large`).",
        ),
        tables=(size_table(TABLE4), found.pretraining, found.table, other.pretraining, other.table),
        findings=(*found.findings, *other.findings),
        reasons=(
            *reasons.EXACT,
            "The paper's Table 6 has small embeddings 256 wide, which gives more than its 14M: they are 128 wide "
            "here, as in ELECTRA-small, which it compares with.",
            *dict.fromkeys((*found.reasons, *other.reasons)),
        ),
    )


ENTRIES = (Entry("table4", "scaling to small and large", make, order=4),)
