"""The search as a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

import autobertc
from autobertc.dsl.architecture import ConvolutionLayer, Sizes
from autobertc.dsl.errors import UserError
from autobertc.search import Candidate, Study

SPACE = {"layers": 2, "length": [2, 6]}
SMALL = {"population": 8, "parents": 2, "children": 2}


def score(candidate: Candidate) -> float:
    """Small kernels are good, attention is middling."""
    return -sum(layer.kernel if isinstance(layer, ConvolutionLayer) else 9 for layer in candidate.genome.layers)


def told(study: Study, count: int) -> list[tuple[str, tuple[float, ...]]]:
    for _ in range(count):
        candidate = study.ask()
        study.tell(candidate, score(candidate))
    return [(each.text, each.values) for each in study.candidates]


def test_ten_lines() -> None:
    study = autobertc.search.Study(SPACE, strategy="evolution", seed=1, **SMALL)  # type: ignore[arg-type]
    found = told(study, 20)
    assert max(values for _, values in found) > max(values for _, values in found[:8])
    assert study.best.values == max(values for _, values in found)
    assert len({text.partition("}")[2] for text, _ in found}) == 20
    assert autobertc.parse(study.best.text).layers == study.best.architecture.layers


def test_it_goes_on_from_a_file(tmp_path: Path) -> None:
    """Closed after each candidate, some asked for and not told, it is the study that was never closed."""
    whole = told(Study(SPACE, seed=2, **SMALL), 10)  # type: ignore[arg-type]
    for count in range(10):
        with Study(SPACE, seed=2, storage=tmp_path / "study.db", **SMALL) as study:  # type: ignore[arg-type]
            asked = study.ask()
            assert asked.number == count
        with Study(SPACE, seed=2, storage=tmp_path / "study.db", **SMALL) as study:  # type: ignore[arg-type]
            again = study.ask()
            assert again == asked
            study.tell(again, score(again))
    with Study(SPACE, seed=2, storage=tmp_path / "study.db", **SMALL) as study:  # type: ignore[arg-type]
        assert [(each.text, each.values) for each in study.candidates] == whole


def test_steady_state() -> None:
    """More than a round can be asked for before anything is told, and told in any order."""
    study = Study(SPACE, strategy="evolution", seed=3, sizes=Sizes(hidden=32, heads=2), **SMALL)  # type: ignore[arg-type]
    asked = [study.ask() for _ in range(11)]
    assert [candidate.number for candidate in asked] == list(range(11))
    for candidate in reversed(asked):
        study.tell(candidate.number, score(candidate))
    children = [study.ask() for _ in range(4)]
    assert len({candidate.genome for candidate in [*asked, *children]}) == 15
    assert children[0].architecture.sizes.hidden == 32


def test_failures_and_mistakes() -> None:
    study = Study(SPACE, strategy="random", objectives=("score", "speed"), **SMALL)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no candidate has a score yet"):
        _ = study.best
    study.tell(study.ask(), None, "would not compile")
    study.tell(study.ask(), (float("nan"), 1.0))
    good = study.ask()
    with pytest.raises(UserError, match="2 objectives, and was told 1"):
        study.tell(good, 1.0)
    study.tell(good, [1.0, 2.0])
    assert study.best.number == 2 and study.best.values == (1.0, 2.0)
    with pytest.raises(UserError, match="has its score already"):
        study.tell(good, [1.0, 2.0])
    with pytest.raises(UserError, match="there is no candidate 99"):
        study.tell(99, [1.0, 2.0])


def test_a_study_of_another_space(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    with Study(SPACE, storage=place), pytest.raises(UserError, match="a second driver is refused"):
        Study(SPACE, storage=place)
    with pytest.raises(UserError, match="is of another space"):
        Study({"layers": 3}, storage=place)
    with pytest.raises(UserError, match="was begun with another seed: 0 there, 1 here"):
        Study(SPACE, storage=place, seed=1)
    with pytest.raises(UserError, match=r"no strategy is called 'op-nsa': did you mean 'op-nas'"):
        Study(SPACE, strategy="op-nsa")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": ()}, "objectives are names, one at least"),
        ({"objectives": ("a", "a")}, "objectives are names, one at least and each once"),
        ({"seed": -1}, "seed is a whole number, at least 0, not -1"),
        ({"population": 0}, "population is a whole number, at least 1"),
        ({"children": 1.5}, "children is a whole number"),
        ({"strategy": object()}, "has a method `propose`"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Study(SPACE, **arguments)


def test_what_cannot_be_told(tmp_path: Path) -> None:
    study = Study(SPACE, objectives="accuracy", storage=tmp_path / "study.db", **SMALL)  # type: ignore[arg-type]
    assert study.objectives == ("accuracy",)
    candidate, other = study.ask(), Study(SPACE, seed=5).ask()
    for score in ("good", {"score": 1}, [[1.0]], torch.ones(1, requires_grad=True)):
        with pytest.raises(UserError, match="a score is a number"):
            study.tell(candidate, score)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="candidate 0 of another study"):
        study.tell(other, 1.0)
    with pytest.raises(UserError, match="a candidate or its number, not '1'"):
        study.tell("1", 1.0)  # type: ignore[arg-type]
    study.tell(np.int64(0), np.float32(0.5))  # type: ignore[arg-type]
    study.close()
    for call in (study.ask, lambda: study.tell(0, 1.0)):
        with pytest.raises(UserError, match="the study was closed"):
            call()


def test_a_study_that_is_another_programs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="search", storage=url).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="has a study 'search' already that is no search"):
        Study(SPACE, storage=url)
    assert Study(SPACE, storage=url, name="mine").ask().number == 0
