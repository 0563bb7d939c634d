"""Evolution: the best candidates so far are parents, each child is its parent with an edit or two."""

from __future__ import annotations

from autobertc.search.crossover import draw_crossover
from autobertc.search.genome import Genome
from autobertc.search.randomness import generator
from autobertc.search.strategies.base import History, Proposal, Record
from autobertc.search.strategies.domain import Draws, Seen
from autobertc.search.strategies.priorities import Priorities
from autobertc.search.strategies.random_search import RandomSearch
from autobertc.search.strategies.selection import best, current_values

# Draws for one child that may come to nothing, duplicates aside, before a random candidate takes its place.
MAX_ATTEMPTS = 1000


class Evolution(RandomSearch):
    """Random candidates until the population is full, then children of the top K, edits drawn uniformly.

    A child: with probability one half (`both`: always) an inter-layer edit, then an intra-layer edit of one attention
    program. Of a parent without an attention layer, an inter-layer edit alone.
    """

    def propose(self, history: History, round: int, count: int) -> list[Proposal]:
        """See `Strategy.propose`. Without a single success the children are random, too."""
        seen = self.domain.seen(record.genome for record in history.records)
        if len(history.records) < self.settings.population or not history.complete():
            return self.first(history, seen, round, count)
        parents = self.parents(history, round, count)
        priorities = self.priorities(history)
        proposals: list[Proposal] = []
        for slot, parent in enumerate(parents):
            proposals += self._new_child(parent, parents, priorities, seen, round, slot)
        return proposals

    def parents(self, history: History, round: int, count: int) -> list[Record]:
        """The parent of each slot: the top K in turn. Turns go on from round to round, so that a search that proposes
        one at a time takes turns as well."""
        top = best(current_values(history), self.settings.parents)
        return [top[(len(history.records) + slot) % len(top)] for slot in range(count)]

    def priorities(self, history: History) -> Priorities | None:
        """What edits are drawn by; None is uniformly."""
        return None

    def _new_child(
        self,
        parent: Record,
        parents: list[Record],
        priorities: Priorities | None,
        seen: Seen,
        round: int,
        slot: int,
    ) -> list[Proposal]:
        """The first child drawn that is new, or else a random candidate; empty where that fails as well."""
        rng = generator(self.seed, round, slot, "child")
        redraws = rejected = 0
        for _ in range(MAX_ATTEMPTS):
            draws = Draws(rng, priorities)
            drawn = self._draw_child(parent, parents, draws)
            rejected += draws.rejected
            if drawn is None:
                continue
            genome, numbers, edits, origin = drawn
            if seen.add(genome):
                return [Proposal(genome, numbers, edits, tuple(draws.probabilities), origin, redraws, rejected)]
            redraws += 1
            if redraws > self.settings.redraws:
                break
        return self.fallback(seen, round, slot, redraws, rejected)

    def _draw_child(
        self, parent: Record, parents: list[Record], draws: Draws
    ) -> tuple[Genome, tuple[int, ...], tuple[str, ...], str] | None:
        """Genome, numbers of its parents, edits in words, origin."""
        mates = {other.number: other for other in parents if other.number != parent.number}
        if mates and self.settings.crossover and draws.rng.random() < self.settings.crossover:
            mate = list(mates.values())[draws.index(len(mates))]
            mixed = draw_crossover(parent.genome, mate.genome, draws.rng)
            child = None if mixed is None else mixed.apply(parent.genome)
            return None if child is None else (child, (parent.number, mate.number), (str(mixed),), "crossover")
        genome = parent.genome
        edits = []
        attention = any(True for _ in genome.programs())
        if self.settings.both or draws.rng.random() < 0.5 or not attention:
            edited = self.domain.edit_layer(genome, draws)
            if edited:
                genome = edited.genome
                edits.append(edited.edit)
        edited = self.domain.edit_program(genome, draws) if attention else None
        if edited:
            genome = edited.genome
            edits.append(edited.edit)
        return (genome, (parent.number,), tuple(edits), "child") if edits else None
