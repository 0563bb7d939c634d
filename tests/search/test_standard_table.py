"""The table that comes with autobertc: what it is, and that strategies find in it what they did."""

from __future__ import annotations

import numpy as np
import pytest

from autobertc.search.tabular.recipe import STANDARD, STANDARD_TABLE, read_recipe
from autobertc.search.tabular.replay import Budget, Contender, Replay, difference
from autobertc.search.tabular.table import Table, read_table


@pytest.fixture(scope="module")
def table() -> Table:
    return read_table(STANDARD_TABLE)


def test_it_is_the_recipes_and_closed(table: Table) -> None:
    assert table.header.recipe.same_as(read_recipe(STANDARD))
    assert table.closed and len(table.rows) == 39**2
    assert all(row.scores and row.shared for row in table.rows)


@pytest.mark.slow
def test_evolution_finds_better_candidates_than_random_search(table: Table) -> None:
    """What the documentation says of it with inherited scores, after 100 candidates."""
    replay, budget = Replay(table), Budget(candidates=100)
    evolution, random = (
        np.array([replay.search(Contender("", name, sharing=True), seed, budget) for seed in range(200)])
        for name in ("evolution", "random")
    )
    mean, low, _ = difference(evolution, random, 100)
    assert mean > low > 0
