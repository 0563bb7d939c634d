"""Answers out of scores of starts and ends: the best spans over all windows, and how likely there is none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from autobertc.runtime.data.errors import DataError


@dataclass(frozen=True)
class Span:
    """A piece of the text, its place in characters, and the sum of its start's and its end's logits."""

    text: str
    start: int
    stop: int
    score: float


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Attributes:
        question: its id.
        spans: the best spans of different text, best first; one at least.
        null: the score of no answer: that of [CLS] as both, in the window where it is least.
    """

    question: str
    spans: tuple[Span, ...]
    null: float

    @property
    def null_odds(self) -> float:
        """By how much no answer scores more than the best span."""
        return self.null - self.spans[0].score

    def text(self, threshold: float | None) -> str:
        """The best span; or nothing where the odds of no answer are above the threshold, if there is one."""
        return "" if threshold is not None and self.null_odds > threshold else self.spans[0].text

    def n_best(self) -> list[dict[str, Any]]:
        """The spans with their share of probability among them."""
        scores = np.array([span.score for span in self.spans])
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        return [
            {"text": span.text, "probability": float(share), "score": span.score}
            for span, share in zip(self.spans, shares, strict=True)
        ]


def best_answers(
    rows: Dataset,
    features: Dataset,
    starts: NDArray[Any],
    ends: NDArray[Any],
    *,
    n_best: int = 20,
    max_answer: int = 30,
) -> list[Answer]:
    """The answer of each row from the logits of its windows.

    Args:
        rows: with `id` and `context`.
        features: of these rows, as `encode` gives them for evaluation, in their order.
        starts, ends: `[features, N]`, N the longest window's length or more.
        n_best: how many starts, ends and spans are kept.
        max_answer: tokens of the longest span.

    Raises `DataError` for logits that are not those of these features, or not numbers.
    """
    if not len(features) == len(starts) == len(ends):
        raise DataError(f"{len(starts)} predictions for {len(features)} features")
    if not (np.isfinite(starts).all() and np.isfinite(ends).all()):
        raise DataError("some predictions are not numbers: the model diverged")
    windows = defaultdict(list)
    for number, question in enumerate(features["question"]):
        windows[question].append(number)
    answers = []
    for question, context in zip(rows["id"], rows["context"], strict=True):
        if question not in windows:
            raise DataError(f"question {question} has no features: these are of other rows")
        spans: list[Span] = []
        null = np.inf
        for number in windows[question]:
            feature = features[number]
            null = min(null, float(starts[number][0] + ends[number][0]))
            spans += _spans(context, feature, starts[number], ends[number], n_best, max_answer)
        answers.append(Answer(question, _distinct(spans, n_best), null))
    return answers


def _spans(
    context: str, feature: dict[str, Any], starts: NDArray[Any], ends: NDArray[Any], n_best: int, max_answer: int
) -> list[Span]:
    offsets = feature["offsets"]
    inside = np.flatnonzero([place[0] >= 0 for place in offsets])
    best_starts = inside[np.argsort(-starts[inside], kind="stable")][:n_best]
    best_ends = inside[np.argsort(-ends[inside], kind="stable")][:n_best]
    return [
        Span(context[offsets[a][0] : offsets[b][1]], offsets[a][0], offsets[b][1], float(starts[a] + ends[b]))
        for a in best_starts
        if feature["best_context"][a]
        for b in best_ends
        if a <= b < a + max_answer
    ]


def _distinct(spans: Sequence[Span], n_best: int) -> tuple[Span, ...]:
    chosen: dict[str, Span] = {}
    for span in sorted(spans, key=lambda span: (-span.score, span.start, span.stop)):
        chosen.setdefault(span.text, span)
        if len(chosen) == n_best:
            break
    # Where no start goes with an end, as in BERT's code.
    return tuple(chosen.values()) or (Span("", 0, 0, 0.0),)
