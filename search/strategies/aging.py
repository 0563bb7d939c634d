"""Aging evolution (Real et al. 2019): only the youngest can be parents, each the winner of a tournament."""

from __future__ import annotations

from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Record
from autobertc.search.strategies.evolution import Evolution
from autobertc.search.strategies.selection import current_values, tournament


class AgingEvolution(Evolution):
    """Evolution whose population forgets: a lucky score does not stay on top for ever."""

    def parents(self, history: History, round: int, count: int) -> list[Record]:
        """One tournament a slot."""
        values = current_values(history)
        settings = self.settings
        return [
            tournament(values, settings.alive, settings.tournament, generator(self.seed, round, slot, "tournament"))
            for slot in range(count)
        ]
