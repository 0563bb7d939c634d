"""OP-NAS: evolution whose edits are drawn by operation priority (`priorities.py`)."""

from __future__ import annotations

from autobertc.search.strategies.base import History, Record
from autobertc.search.strategies.domain import Domain
from autobertc.search.strategies.evolution import Evolution
from autobertc.search.strategies.priorities import CALIBRATED, Preset, Priorities, Statistics
from autobertc.search.strategies.random_search import Settings


class OpNas(Evolution):
    """Evolution with priorities of a preset."""

    def __init__(self, domain: Domain, settings: Settings, seed: int, preset: Preset = CALIBRATED) -> None:
        super().__init__(domain, settings, seed)
        self.preset = preset
        self._counted: list[Record] = []
        self._statistics = self._empty()
        self._tau: tuple[list[Record], float] | None = None

    def priorities(self, history: History) -> Priorities:
        """The distributions that the next round draws by."""
        return self.statistics(history).priorities(self.preset, self.tau(history))

    def tau(self, history: History) -> float | None:
        """The temperature: the preset's, or set by the initial population alone, the first `population` records, so
        that it is the same in every round and after a resume. None while that is not complete."""
        if self.preset.tau is not None:
            return self.preset.tau
        if len(history.records) < self.settings.population:
            return None
        first = [record for record in history.records[: self.settings.population] if record.values]
        if self._tau is None or not _same(self._tau[0], first):
            statistics = self._empty()
            for record in first:
                statistics.add(self.domain.traits(record.genome), record.score)
            self._tau = first, statistics.priorities(self.preset).tau
        return self._tau[1]

    def statistics(self, history: History) -> Statistics:
        """Of every complete first evaluation. What an earlier call counted is kept where the history only grew; the
        sums are the same as made anew."""
        records = history.complete()
        known = len(self._counted)
        if not _same(self._counted, records[:known]):
            self._counted, self._statistics, known = [], self._empty(), 0
        for record in records[known:]:
            self._statistics.add(self.domain.traits(record.genome), record.score)
        self._counted = records
        return self._statistics

    def _empty(self) -> Statistics:
        return Statistics(len(self.domain.operations), len(self.domain.kernels))


def _same(some: list[Record], others: list[Record]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))
