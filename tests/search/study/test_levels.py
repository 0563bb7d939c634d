"""Levels of rounds: what scores rise by as weights are trained, told from what candidates are worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau
from search_fakes import driver, plan

from autobertc.search.study.levels import levels
from autobertc.search.study.storage import StudyStorage


def test_by_hand() -> None:
    """Random rounds by their medians, later ones by those that are scored again, each at its own level."""
    first = [{0: (1.0, 5.0), 1: (3.0, 5.0)}, {2: (4.0, 5.0), 3: (8.0, 5.0)}, {4: (9.0, 5.0)}, {5: (9.0, 5.0)}, {}]
    again = [{}, {}, {3: (9.0, 5.0), 1: (8.5, 5.0)}, {4: (11.0, 5.0)}, {}]
    assert levels(first, again) == [(0.0, 0.0), (4.0, 0.0), (5.25, 0.0), (7.25, 0.0), (7.25, 0.0)]
    assert levels([], []) == [] and levels([{}, {}], [{}, {}]) == [(), ()]


def test_they_take_the_drift_away(tmp_path: Path) -> None:
    """Candidates gain from round to round and the anchor does not: by parents the order is that of their worth."""
    found = {}
    for level in ("anchor", "parents"):
        search = driver(tmp_path / level, plan(trials=32, anchor=""))
        search.storage.set_attribute("autobertc", {**search.storage.meta, "level": level})
        search.run()
        records = StudyStorage.load(search.storage.url).history().complete()
        worth = [-sum(layer.kernel for layer in record.genome.layers) for record in records]
        found[level] = kendalltau([record.score for record in records], worth).statistic
    assert found["parents"] > found["anchor"] > 0.5


def test_of_random_rounds_with_noise() -> None:
    rng = np.random.default_rng(0)
    drift = [0.0, 0.4, -0.3, 0.8]
    first = [{100 * r + n: (float(rng.normal() * 0.1 + drift[r]),) for n in range(50)} for r in range(4)]
    found = levels(first, [{}] * 4)
    assert [level for (level,) in found] == pytest.approx(drift, abs=0.1)
