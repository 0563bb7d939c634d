"""How a search goes on: the sizes of its rounds, its budget, and the jobs that a candidate becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.randomness import seed_of
from autobertc.search.study.records import ANCHOR, Trial

Thresholds = Callable[[Sequence[Trial]], tuple[float, ...]]


def no_thresholds(trials: Sequence[Trial]) -> tuple[float, ...]:
    """Without hurdles."""
    return ()


@dataclass(frozen=True)
class Plan:
    """A search's plan.

    Attributes:
        seed: of everything random.
        trials: how many candidates there may be.
        seconds: of wall-clock time, all drivers' together, after which no round is begun; 0 is without end.
        patience: rounds after which it ends if the top K has not changed; 0 is never.
        population: random candidates before the first children, in `initial_rounds` rounds.
        parents: K.
        children: of each parent, a round.
        anchor: the `.abz` text that each round scores beside its candidates; empty for none.
        settings: how to train and to score, as jobs have it.
        thresholds: what finished trials say of hurdles.
    """

    seed: int = 0
    trials: int = 760
    seconds: float = 0.0
    patience: int = 0
    population: int = 100
    initial_rounds: int = 4
    parents: int = 5
    children: int = 5
    anchor: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    thresholds: Thresholds = no_thresholds

    def size(self, round: int, before: int) -> int:
        """How many candidates a round has, `before` of them being in earlier rounds."""
        rounds = min(self.initial_rounds, self.population)
        if round < rounds:
            size = self.population * (round + 1) // rounds - self.population * round // rounds
        else:
            size = self.parents * self.children
        return max(0, min(size, self.trials - before))

    def candidate(
        self, trial: Trial, snapshot: str | None, output: str | None, before: Sequence[Trial]
    ) -> CandidateJob:
        """A trial's own evaluation; `before` are the trials of earlier rounds."""
        return CandidateJob(
            trial.number,
            trial.round,
            trial.slot,
            trial.genome,
            seed_of(self.seed, trial.round, trial.slot, "evaluation"),
            snapshot=snapshot,
            output=output,
            thresholds=self.thresholds(before),
            settings=self.settings,
        )

    def parent(self, trial: Trial, round: int, snapshot: str | None) -> CandidateJob:
        """A parent, scored again in another round."""
        seed = seed_of(self.seed, round, trial.number, "parent")
        return CandidateJob(
            trial.number, round, trial.slot, trial.genome, seed, "parent", snapshot, settings=self.settings
        )

    def anchored(self, round: int, snapshot: str | None) -> CandidateJob:
        """The anchor, in a round."""
        seed = seed_of(self.seed, round, 0, "anchor")
        return CandidateJob(ANCHOR, round, 0, self.anchor, seed, "anchor", snapshot, settings=self.settings)
