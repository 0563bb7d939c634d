"""SQuAD's scores by the official scripts' rules, on cases where a rule shows."""

from __future__ import annotations

import random

import pytest

from autobertc.runtime.data.errors import DataError
from autobertc.runtime.metrics.squad import best_threshold, normalise, squad_scores

HARD = [
    # prediction, answers, exact match and F1 in version 1.1, the same in 2.0
    ("Denver Broncos", ["Denver Broncos"], (1, 1), (1, 1)),
    ("the Denver Broncos", ["Denver Broncos"], (1, 1), (1, 1)),
    ("The  denver\nbroncos!", ["a Denver Broncos."], (1, 1), (1, 1)),
    ("theatre", ["atre"], (0, 0), (0, 0)),  # an article is a word
    ("an-apple", ["apple"], (0, 0), (0, 0)),  # marks go first, and leave no space: anapple
    ("the-apple", ["theapple"], (1, 1), (1, 1)),
    ("U.S.A.", ["USA"], (1, 1), (1, 1)),
    ("1,000", ["1000"], (1, 1), (1, 1)),
    ("$5.2 million", ["5.2 million dollars"], (0, 4 / 5), (0, 4 / 5)),
    ("don't", ["dont"], (1, 1), (1, 1)),
    ("rock 'n' roll", ["rock n roll"], (1, 1), (1, 1)),
    ("“quoted”", ["quoted"], (0, 0), (0, 0)),  # only ASCII's marks go
    ("“quoted”", ['"quoted"', "“quoted”"], (1, 1), (1, 1)),
    ("1990–1995", ["1990-1995"], (0, 0), (0, 0)),  # noqa: RUF001
    ("café", ["cafe"], (0, 0), (0, 0)),  # accents stay
    ("CAFÉ", ["café"], (1, 1), (1, 1)),
    ("İstanbul", ["i̇stanbul"], (1, 1), (1, 1)),
    ("東京 都", ["東京"], (0, 2 / 3), (0, 2 / 3)),
    ("Paris\u00a0France", ["Paris France"], (1, 1), (1, 1)),
    ("big big cat", ["big cat"], (0, 4 / 5), (0, 4 / 5)),  # a word counts as often as it is in both
    ("cat big", ["big cat"], (0, 1), (0, 1)),
    ("cat", ["dog", "the big cat", "CAT."], (1, 1), (1, 1)),
    ("big cat", ["dog", "cat", "big black cat"], (0, 4 / 5), (0, 4 / 5)),
    ("", ["cat"], (0, 0), (0, 0)),
    ("the", ["cat"], (0, 0), (0, 0)),
    ("a", ["the"], (1, 0), (1, 1)),  # nothing and nothing
    ("...", ["the", "cat"], (1, 0), (0, 0)),  # 2.0 drops answers that are nothing
    ("cat", ["the", "cat"], (1, 1), (1, 1)),
    ("", ["", "cat"], (1, 0), (0, 0)),
]


@pytest.mark.parametrize(("prediction", "answers", "first", "second"), HARD)
def test_hard_cases(
    prediction: str, answers: list[str], first: tuple[float, float], second: tuple[float, float]
) -> None:
    for version_2, expected in ((False, first), (True, second)):
        found = squad_scores({"q": prediction}, {"q": answers}, version_2)
        assert (found["exact_match"], found["f1"]) == pytest.approx(expected)


def test_normalised() -> None:
    assert normalise("  The A-Team, an   U.S. show: “a”\tof the\n1980's ") == "ateam us show “ ” of 1980s"
    assert normalise("a an the") == normalise("!?.") == normalise("") == ""


def test_questions_without_an_answer() -> None:
    answers = {"1": ["cat"], "2": [], "3": [], "4": ["dog"]}
    predictions = {"1": "cat", "2": "", "3": "fish", "4": ""}
    assert squad_scores(predictions, answers, version_2=True) == {
        "exact_match": 0.5,
        "f1": 0.5,
        "has_answer_exact_match": 0.5,
        "has_answer_f1": 0.5,
        "no_answer_exact_match": 0.5,
        "no_answer_f1": 0.5,
    }
    with pytest.raises(DataError, match="must be squad_v2"):
        squad_scores(predictions, answers)


def test_questions_without_a_prediction() -> None:
    """Wrong in 1.1; not counted in 2.0."""
    answers = {"1": ["cat"], "2": ["dog"]}
    assert squad_scores({"1": "cat"}, answers) == {"exact_match": 0.5, "f1": 0.5}
    assert squad_scores({"1": "cat"}, answers, version_2=True)["f1"] == 1
    with pytest.raises(DataError, match="no predictions"):
        squad_scores({}, answers, version_2=True)


@pytest.mark.parametrize("seed", range(30))
def test_the_best_threshold_is_the_best(seed: int) -> None:
    """Beside trying every one; odds that are equal among them."""
    rng = random.Random(seed)
    ids = [str(number) for number in range(rng.randrange(1, 25))]
    predictions = {question: rng.choice(["cat", "dog", "big cat"]) for question in ids}
    answers = {question: rng.choice([[], ["cat"], ["cat", "big dog"]]) for question in ids}
    odds = {question: rng.randrange(-5, 6) / 2 for question in ids}

    def mean(threshold: float) -> float:
        chosen = {q: "" if odds[q] > threshold else text for q, text in predictions.items()}
        return squad_scores(chosen, answers, version_2=True)["f1"]

    threshold, best = best_threshold(predictions, odds, answers)
    assert best == pytest.approx(mean(threshold))
    assert best == pytest.approx(max(map(mean, [float("-inf"), *odds.values()])))
