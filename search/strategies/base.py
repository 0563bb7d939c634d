"""What a strategy sees and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autobertc.search.genome import Genome


@dataclass(frozen=True)
class Proposal:
    """A candidate that a strategy wants evaluated.

    Attributes:
        genome: its layers.
        parents: the numbers of the records that it comes from; none for a random one.
        edits: what was done to the parent, one line each, in order.
        probabilities: of the draws that priorities made, for a report to tell whether they helped.
        origin: "random", "child", "crossover" or "named".
        redraws: how many duplicates were drawn before it.
        rejected: how many illegal edits were drawn before it.
    """

    genome: Genome
    parents: tuple[int, ...] = ()
    edits: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    origin: str = "random"
    redraws: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Record:
    """A candidate's first evaluation, in the order of its number.

    Attributes:
        number: of the trial, from 0.
        round: the round that proposed it, from 0.
        slot: its place in the round, from 0.
        genome: its layers.
        values: the objectives, higher better, each with its round's anchor subtracted; empty unless it was evaluated
            to the end: a failed candidate, or one that a hurdle stopped, is here to be known, not to be learnt from.
        parents: numbers of records.
    """

    number: int
    round: int
    slot: int
    genome: Genome
    values: tuple[float, ...] = ()
    parents: tuple[int, ...] = ()

    @property
    def score(self) -> float:
        """The first objective. Only of a record with values."""
        return self.values[0]


@dataclass(frozen=True)
class History:
    """What a search knows when it proposes a round.

    Attributes:
        records: every first evaluation of earlier rounds, by number.
        rescored: later scores of records that were parents, by number: the last first objective, less its round's
            anchor. Selection goes by them; statistics count first evaluations alone.
    """

    records: Sequence[Record] = ()
    rescored: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def complete(self) -> list[Record]:
        """The records with values."""
        return [record for record in self.records if record.values]


class Strategy(Protocol):
    """A way to search: a pure function of its settings, a seed and what is known, so that a resumed search proposes
    what it would have proposed."""

    def propose(self, history: History, round: int, count: int) -> list[Proposal]:
        """`count` candidates for the round, no two the same function, none a duplicate of a record.

        Fewer where draw after draw gave nothing new: the space is all but exhausted.
        """
        ...
