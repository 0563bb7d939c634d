"""Random search: the baseline, and every search's first population."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autobertc.search.genome import Genome
from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Proposal
from autobertc.search.strategies.domain import Domain, Seen


@dataclass(frozen=True)
class Settings:
    """How to search; what a strategy does not use it ignores.

    Attributes:
        population: random candidates before the first children.
        parents: K, how many of the best have children.
        redraws: duplicates drawn before a child gives way to a random candidate.
        both: an inter-layer edit in every child, as Algorithm 1 reads; else in half of them.
        crossover: the part of the children that mix the layers of two parents instead.
        named: genomes to start from; they take the first places of the first population.
        alive: aging: how many of the youngest can be parents.
        tournament: aging: how many of those a tournament draws.
    """

    population: int = 100
    parents: int = 5
    redraws: int = 50
    both: bool = False
    crossover: float = 0.0
    named: tuple[Genome, ...] = ()
    alive: int = 100
    tournament: int = 25

    def __post_init__(self) -> None:
        for name in ("population", "parents", "alive", "tournament"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.redraws < 0 or not 0 <= self.crossover <= 1:
            raise ValueError("redraws is at least 0, crossover from 0 to 1")


class RandomSearch:
    """Every candidate is random and new."""

    def __init__(self, domain: Domain, settings: Settings, seed: int) -> None:
        self.domain = domain
        self.settings = settings
        self.seed = seed

    def propose(self, history: History, round: int, count: int) -> list[Proposal]:
        """See `Strategy.propose`."""
        seen = self.domain.seen(record.genome for record in history.records)
        return self.first(history, seen, round, count)

    def first(self, history: History, seen: Seen, round: int, count: int) -> list[Proposal]:
        """Named genomes while there are any, then random ones."""
        proposals = []
        for slot in range(count):
            place = len(history.records) + slot
            named = self.settings.named[place : place + 1]
            if named and seen.add(named[0]):
                proposals.append(Proposal(named[0], origin="named"))
            elif found := self.random(seen, round, slot):
                proposals.append(found)
        return proposals

    def random(self, seen: Seen, round: int, slot: int) -> Proposal | None:
        """A new random candidate; None where draw after draw is known already."""
        rng = generator(self.seed, round, slot, "random")
        for redraws in range(10 * self.settings.redraws + 10):
            genome = self.domain.random(rng)
            if seen.add(genome):
                return Proposal(genome, redraws=redraws)
        return None

    def fallback(self, seen: Seen, round: int, slot: int, redraws: int, rejected: int) -> list[Proposal]:
        """A random candidate in a child's stead, with what had been drawn in vain; empty where there is none new."""
        found = self.random(seen, round, slot)
        return [replace(found, redraws=found.redraws + redraws, rejected=rejected)] if found else []
