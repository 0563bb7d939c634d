"""What needs a search: declared here, made by a file of the search's own package with entries of these names."""

from __future__ import annotations

from autobertc.runtime.reproduction.entry import Entry

ENTRIES = (
    Entry("figure6", "the search beside random search and plain evolution", None, order=16),
    Entry("figure8", "scores in the search beside scores after full training", None, order=18),
    Entry("gpu-hours", "what a search costs, with and without weight sharing", None, order=19),
    Entry("table2-search", "Table 2's row that starts from the super-net", None, order=2),
)
