"""What a search costs: section 4.1's GPU hours."""

from __future__ import annotations

from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.search.report.page import ledger
from autobertc.search.report.runs import read_run
from autobertc.search.reproduction._searched import differences, searched


def make(context: Context) -> Section:
    """The ledger of a search's report, which has the paper's numbers too."""
    run, configuration = searched(context)
    header = ("what", "candidates", "device time", "a candidate")
    return Section(
        done=("The times of all evaluations of a search, failed ones and those of parents and anchors too.",),
        tables=(Table("Device time", header, tuple(ledger(read_run(run)))),),
        reasons=(
            "Without sharing is an estimate: every candidate as long as the last stage's models take from scratch. The "
            "paper's is one as well, of 200 GPU hours a candidate.",
            *differences(configuration),
        ),
    )


ENTRIES = (Entry("gpu-hours", "what a search costs, with and without weight sharing", make, order=19),)
