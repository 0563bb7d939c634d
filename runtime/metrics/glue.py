"""GLUE's average as the paper computes it: the mean of nine numbers.

These are CoLA (Matthews), MRPC and QQP (F1), MNLI matched and MNLI mismatched (accuracy), STS-B (Spearman), RTE, QNLI
and SST-2 (accuracy): Tables 2 and 5 of Gao et al. (2022) come out of their columns so, and not where the two of MNLI
are one number. WNLI is left out, as since Devlin et al. (2019). Table 4's small models have the accuracy of MRPC and
QQP.
"""

from __future__ import annotations

from collections.abc import Mapping

from autobertc.runtime.data.errors import DataError

AVERAGED: dict[str, tuple[str, str]] = {
    "cola": ("validation", "matthews"),
    "mrpc": ("validation", "f1"),
    "mnli": ("validation_matched", "accuracy"),
    "mnli-mm": ("validation_mismatched", "accuracy"),
    "stsb": ("validation", "spearman"),
    "rte": ("validation", "accuracy"),
    "qqp": ("validation", "f1"),
    "qnli": ("validation", "accuracy"),
    "sst2": ("validation", "accuracy"),
}
"""The numbers that are averaged: the split and the metric of each. `mnli-mm` is MNLI's second."""


def glue_numbers(scores: Mapping[str, Mapping[str, Mapping[str, float]]], accuracies: bool = False) -> dict[str, float]:
    """The nine numbers out of `scores[task][split][metric]`; those of tasks that are not there are left out.

    `accuracies`: the accuracy of MRPC and QQP instead of F1, as in the paper's Table 4.
    """
    numbers = {}
    for name, (split, metric) in AVERAGED.items():
        chosen = "accuracy" if accuracies and metric == "f1" else metric
        found = scores.get(name.removesuffix("-mm"), {}).get(split, {}).get(chosen)
        if found is not None:
            numbers[name] = found
    return numbers


def glue_average(numbers: Mapping[str, float]) -> float:
    """The mean of the nine. Raises `DataError` naming those that are missing: a mean of fewer is another number."""
    if missing := [name for name in AVERAGED if name not in numbers]:
        raise DataError(f"no GLUE average without {', '.join(missing)}")
    return sum(numbers[name] for name in AVERAGED) / len(AVERAGED)
