"""Real text for tests: Python's reference manual, and a tokenizer trained on it."""

from __future__ import annotations

from functools import cache
from pydoc_data.topics import topics

from scipy.stats import binomtest, chisquare
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.tokenizer import train_on

MANUAL = [topics[name] for name in sorted(topics)]
# A true statement fails one test in a million: there are some dozens, run some thousands of times.
ALPHA = 1e-6


@cache
def manual_tokenizer() -> PreTrainedTokenizerFast:
    return train_on((line for text in MANUAL for line in text.splitlines()), 3000, 512, "the manual")


def is_share(hits: int, of: int, share: float) -> bool:
    """Whether so many hits are likely where each has this chance: a two-sided binomial test."""
    return bool(binomtest(int(hits), int(of), share).pvalue > ALPHA)


def fits(observed: list[float], expected: list[float]) -> bool:
    """Whether counts are likely where these are expected: a chi-squared test."""
    return bool(chisquare(observed, expected, sum_check=False).pvalue > ALPHA)
