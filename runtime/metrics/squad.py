"""SQuAD's exact match and F1, by the rules of the two official scripts (Rajpurkar et al. 2016, 2018).

They differ in what they do with nothing. Version 2.0's answers that are empty once normalised do not count, a
question without others has the empty answer, and the empty prediction's F1 with it is 1; in 1.1 the F1 of nothing
with nothing is 0. A question without a prediction is wrong in 1.1, and left out of the mean in 2.0.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

from autobertc.runtime.data.errors import DataError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII's: others stay


def normalise(text: str) -> str:
    """Lower case, without punctuation, then without articles, white space single."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answer: str) -> float:
    """1 where both are the same once normalised, or 0."""
    return float(normalise(prediction) == normalise(answer))


def f1(prediction: str, answer: str, version_2: bool = False) -> float:
    """F1 of the words they share, each as often as it is in both."""
    given, wanted = normalise(prediction).split(), normalise(answer).split()
    if version_2 and not (given and wanted):
        return float(given == wanted)
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2 * shared / (len(given) + len(wanted)) if shared else 0.0


def question_scores(prediction: str, answers: Sequence[str], version_2: bool) -> tuple[float, float]:
    """Exact match and F1 of a prediction: the best over the answers that people gave."""
    if version_2:
        answers = [answer for answer in answers if normalise(answer)] or [""]
    if not answers:
        raise DataError("a question has no answer: it is SQuAD 2.0's, and the task must be squad_v2")
    return (
        max(exact_match(prediction, answer) for answer in answers),
        max(f1(prediction, answer, version_2) for answer in answers),
    )


def squad_scores(
    predictions: Mapping[str, str], answers: Mapping[str, Sequence[str]], version_2: bool = False
) -> dict[str, float]:
    """`exact_match` and `f1` from 0 to 1 by question ids (the scripts print percentages), and in version 2.0 those of
    questions with and without an answer apart. Raises `DataError` where nothing can be scored."""
    scores: dict[str, tuple[float, float]] = {}
    for question, wanted in answers.items():
        if question in predictions:
            scores[question] = question_scores(predictions[question], wanted, version_2)
        elif not version_2:
            scores[question] = 0.0, 0.0
    if not scores:
        raise DataError("there are no predictions to score")
    result = _means(list(scores.values()))
    if version_2:
        for name, wanted_kind in (("has_answer", True), ("no_answer", False)):
            if chosen := [scores[question] for question in scores if bool(answers[question]) is wanted_kind]:
                result |= {f"{name}_{metric}": value for metric, value in _means(chosen).items()}
    return result


def _means(scores: Sequence[tuple[float, float]]) -> dict[str, float]:
    exact, overlap = zip(*scores, strict=True)
    return {"exact_match": sum(exact) / len(scores), "f1": sum(overlap) / len(scores)}


def best_threshold(
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
    answers: Mapping[str, Sequence[str]],
    metric: str = "f1",
) -> tuple[float, float]:
    """The odds above which no answer is the best answer, and the mean `exact_match` or `f1` there.

    `predictions` are the best spans, never empty; a question gets the empty answer where its odds are above the
    threshold. Thresholds between questions of equal odds do not exist.
    """
    column = {"exact_match": 0, "f1": 1}[metric]
    ids = sorted(predictions, key=lambda question: null_odds[question])
    total = sum(not any(map(normalise, answers[question])) for question in ids)  # everything unanswered
    best, threshold, score = float(total), float("-inf"), float(total)
    for number, question in enumerate(ids):
        spans = question_scores(predictions[question], answers[question], True)[column]
        empty = question_scores("", answers[question], True)[column]
        score += spans - empty
        last_of_equals = number + 1 == len(ids) or null_odds[ids[number + 1]] > null_odds[question]
        if last_of_equals and score > best:
            best, threshold = score, null_odds[question]
    return threshold, best / len(ids)
