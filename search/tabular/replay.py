"""Searching a table: a whole search in a fraction of a second, so that strategies can be told apart over many seeds.

What a search sees is one training of a candidate, drawn by the replay's seed; what it is worth is the mean of the
trainings that it did not see. A curve says, after each candidate, what the best candidate by what was seen is worth.

With sharing, a search sees a score after a few steps from inherited weights, and candidates are worth the mean of all
their trainings from scratch. In the table that super-net is one, trained before; in a search it is trained along with
the candidates. So a replay with sharing shows what the cheaper, less faithful scores do to a search, and nothing of
what the search does to the super-net. A table without such scores has no replay with sharing.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Record
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.registry import strategy
from autobertc.search.tabular.recipe import TableError
from autobertc.search.tabular.table import Table
from autobertc.search.tabular.table_space import TableSpace

Curves = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True)
class Contender:
    """A curve of the figure: a strategy by name, and whether candidates start from inherited weights."""

    label: str
    name: str
    sharing: bool = False


CONTENDERS = (
    Contender("random search", "random"),
    Contender("random search, sharing", "random", sharing=True),
    Contender("evolution", "evolution"),
    Contender("evolution, sharing", "evolution", sharing=True),
    Contender("OP-NAS, calibrated", "op-nas"),
    Contender("OP-NAS, calibrated, sharing", "op-nas", sharing=True),
    Contender("OP-NAS, paper", "op-nas-paper"),
    Contender("OP-NAS, paper, sharing", "op-nas-paper", sharing=True),
)


@dataclass(frozen=True)
class Budget:
    """How long a search is.

    The defaults are for the standard table: among 50 random ones of its 1,521 genomes there is one of the best
    hundredth or nearly so, and a population so large would leave little to find.

    Attributes:
        candidates: evaluated in all; a multiple of `round_size`.
        population: random ones at the start.
        round_size: proposed at a time.
        parents: K.
    """

    candidates: int = 200
    population: int = 20
    round_size: int = 10
    parents: int = 5

    def __post_init__(self) -> None:
        if self.candidates < self.round_size or self.candidates % self.round_size:
            raise TableError(f"candidates must be a multiple of the round's {self.round_size}, not {self.candidates}")


class Replay:
    """A table made ready for searches."""

    def __init__(self, table: Table) -> None:
        if not any(row.scores for row in table.rows):
            raise TableError("no genome of the table has scores")
        self.table = table
        self.space = TableSpace(table)
        self.means = np.array([np.mean(row.scores) if row.scores else np.nan for row in table.rows])

    @property
    def sharing(self) -> bool:
        """Whether the table has scores with inherited weights."""
        return any(row.shared for row in self.table.rows)

    def contenders(self) -> list[Contender]:
        """Those that this table can replay."""
        return [contender for contender in CONTENDERS if self.sharing or not contender.sharing]

    def search(self, contender: Contender, seed: int, budget: Budget) -> list[float]:
        """The curve of one search: the worth of the best candidate so far, after each one evaluated. Before the first
        success it is the least worth in the table."""
        settings = Settings(population=budget.population, parents=budget.parents)
        searching = strategy(contender.name, self.space, settings, seed)
        records: list[Record] = []
        curve: list[float] = []
        best, worth = -np.inf, float(np.nanmin(self.means))
        for round in range(budget.candidates // budget.round_size):
            proposals = searching.propose(History(records), round, budget.round_size)
            for slot, proposal in enumerate(proposals):
                number = self.space.row[proposal.genome]
                seen = self._seen(number, seed, contender.sharing)
                values = () if seen is None else (seen[0],)
                records.append(Record(len(records), round, slot, proposal.genome, values, proposal.parents))
                if seen is not None and seen[0] > best:
                    best, worth = seen
                curve.append(worth)
        # A table that is exhausted: nothing more changes.
        return curve + [worth] * (budget.candidates - len(curve))

    def _seen(self, number: int, seed: int, sharing: bool) -> tuple[float, float] | None:
        """What the search sees of a genome, and what it is worth; None where the genome failed."""
        row = self.table.rows[number]
        scores = row.shared if sharing else row.scores
        if not scores:
            return None
        shown = int(generator(seed, number, "shown").integers(len(scores)))
        if sharing:
            return scores[shown], float(np.mean(row.scores))
        others = [score for index, score in enumerate(scores) if index != shown]
        return scores[shown], float(np.mean(others or scores))


_open_replays: list[Replay] = []


def _open(table: Table) -> None:
    _open_replays.append(Replay(table))


def _search(contender: Contender, budget: Budget, seed: int) -> list[float]:
    return _open_replays[0].search(contender, seed, budget)


def all_curves(replay: Replay, budget: Budget, seeds: int, workers: int = 1) -> dict[str, Curves]:
    """The curves of every contender that the table can replay, `[seeds, candidates]` each, by several processes."""
    found = {}
    with ProcessPoolExecutor(workers, initializer=_open, initargs=(replay.table,)) as pool:
        for contender in replay.contenders():
            found[contender.label] = np.array(list(pool.map(partial(_search, contender, budget), range(seeds))))
    return found


@dataclass(frozen=True)
class Band:
    """A mean with its 95% interval, by bootstrap over the seeds; each [candidates]."""

    mean: Curves
    low: Curves
    high: Curves


def band(curves: Curves, resamples: int = RESAMPLES) -> Band:
    """The mean of the curves after each candidate. One resampling of seeds serves all points, as one matrix product."""
    seeds = len(curves)
    weights = np.random.default_rng(0).multinomial(seeds, [1 / seeds] * seeds, size=resamples) / seeds
    low, high = np.percentile(weights @ curves, [2.5, 97.5], axis=0)
    return Band(curves.mean(axis=0), low, high)


def better_share(replay: Replay, worth: float) -> float:
    """Which part of the table's genomes is worth more."""
    scored = replay.means[np.isfinite(replay.means)]
    return float((scored > worth).mean())


def difference(one: Curves, other: Curves, at: int) -> tuple[float, float, float]:
    """By how much the first is worth more after `at` candidates, in pairs by seed: mean, 95% interval."""
    found = band((one - other)[:, at - 1 : at])
    return float(found.mean[0]), float(found.low[0]), float(found.high[0])


def sentence(results: dict[str, Curves], first: str, second: str, at: int) -> str:
    """What two curves show, in words."""
    mean, low, high = difference(results[first], results[second], at)
    seeds = len(results[first])
    measured = f"{mean:+.4f} on average, 95% interval {low:+.4f} to {high:+.4f}, {seeds} seeds"
    if low > 0:
        said = f"{first} finds better candidates than {second}"
    elif high < 0:
        said = f"{first} finds worse candidates than {second}"
    else:
        said = f"{first} and {second} cannot be told apart"
    return f"After {at} candidates {said} ({measured})."


def sentences(results: dict[str, Curves], checkpoints: Sequence[int]) -> list[str]:
    """The comparisons that the figure is for, as far as there are curves: OP-NAS beside evolution, evolution beside
    random search, at each of some numbers of candidates."""
    pairs = [
        (f"{one}{sharing}", f"{other}{sharing}")
        for sharing in ("", ", sharing")
        for one, other in (
            ("OP-NAS, calibrated", "evolution"),
            ("OP-NAS, paper", "evolution"),
            ("evolution", "random search"),
        )
    ]
    return [
        sentence(results, one, other, at)
        for one, other in pairs
        if one in results and other in results
        for at in checkpoints
    ]
