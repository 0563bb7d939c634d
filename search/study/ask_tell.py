"""The search as a library: ask for candidates, score them with anything, tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from autobertc.dsl.architecture import Architecture, Sizes
from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.genome import Genome
from autobertc.search.identity import KeyCache
from autobertc.search.space import Space
from autobertc.search.strategies.base import Strategy
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.registry import strategy as named_strategy
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.features import Features
from autobertc.search.study.locks import only_driver
from autobertc.search.study.plan import Plan
from autobertc.search.study.records import Evaluation, Trial
from autobertc.search.study.storage import DEFAULT_NAME, StudyStorage, now


@dataclass(frozen=True)
class Candidate:
    """Something to score.

    Attributes:
        number: of its trial.
        genome: its layers.
        sizes: those that `text` and `architecture` have.
        values: once it is told; higher is better.
    """

    number: int
    genome: Genome
    sizes: Sizes
    values: tuple[float, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """What `autobertc.build` and `autobertc.emit` take."""
        return self.genome.architecture(self.sizes, f"candidate-{self.number}")

    @property
    def text(self) -> str:
        """The `.abz` file."""
        return self.genome.text(self.sizes, f"candidate-{self.number}")


class Study:
    """A search over a space by any scoring function.

    Rounds are proposed whole, from what was told before; asked for more while a round is under way, the study proposes
    the next one from what is known then. With a storage, a study that is opened again goes on, and candidates that
    were asked for and not told come first.

    Args:
        space: what to search, a `Space` or a table of one, such as {"layers": 4}.
        strategy: "op-nas", "evolution", "random", "aging", ..., or an object with `propose`.
        storage: an Optuna storage's URL, or a file to keep it in (SQLite); None keeps it in memory.
        seed: of everything that the strategy draws.
        objectives: names, higher better; the first decides where one must.
        sizes: of the candidates' `architecture` and `text`.
        population, parents, children: random candidates first, then the best `parents` have `children` each, a round.
        name: of the study in its storage.

    Raises `UserError` for an impossible space, an unknown strategy, a storage that is another study's, or one that
    another process writes.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any] | None = None,
        strategy: str | Strategy = "op-nas",
        storage: str | Path | None = None,
        seed: int = 0,
        *,
        objectives: Sequence[str] = ("score",),
        sizes: Sizes | None = None,
        population: int = 100,
        parents: int = 5,
        children: int = 5,
        name: str = DEFAULT_NAME,
    ) -> None:
        self.space = space if isinstance(space, Space) else Space.from_table(space or {})
        self.sizes = sizes or Sizes()
        self.objectives = _names(objectives)
        for what, number, least in (
            *(("seed", seed, 0), ("population", population, 1)),
            *(("parents", parents, 1), ("children", children, 1)),
        ):
            if not isinstance(number, int) or number < least:
                raise UserError(f"{what} is a whole number, at least {least}, not {number!r}")
        if not isinstance(strategy, str) and not callable(getattr(strategy, "propose", None)):
            raise UserError(f"a strategy is a name or has a method `propose`, as {strategy!r} has not")
        self._closed = False
        domain = GenomeSpace(self.space, KeyCache())
        settings = Settings(population=population, parents=parents)
        self.strategy = named_strategy(strategy, domain, settings, seed) if isinstance(strategy, str) else strategy
        described = strategy if isinstance(strategy, str) else type(strategy).__name__
        self._plan = Plan(seed, 10**9, population=population, parents=parents, children=children)
        self._features = Features(self.space.layers, self.space.length[1])
        self._storage = StudyStorage(_url(storage), name)
        meta = {"space": self.space.to_table(), "strategy": described, "seed": seed, "population": population}
        self._storage.prepare(self.objectives)
        with ExitStack() as resources:
            self._lock = resources.enter_context(only_driver(self._storage))
            self._open({**meta, "parents": parents, "children": children})
            self._resources = resources.pop_all()
        self._waiting = [trial.number for trial in self._storage.trials() if trial.state == "running"]

    def _open(self, meta: dict[str, Any]) -> None:
        if not self._storage.exists():
            self._storage.create({"ask and tell": meta}, self.objectives)
            return
        self._storage.check_format()
        known = self._storage.meta.get("ask and tell", {})
        for key in ("space", *meta):
            if known.get(key) != meta[key]:
                what = "is of another space" if key == "space" else f"was begun with another {key}"
                raise UserError(
                    f"the study {self._storage.name!r} in {self._storage.url} {what}: {known.get(key)!r} there, "
                    f"{meta[key]!r} here. Give this one another name or another storage"
                )
        if self._storage.objectives != self.objectives:
            raise UserError(f"the study's objectives are {', '.join(self._storage.objectives)}")

    def ask(self) -> Candidate:
        """The next candidate to score. Raises `UserError` where the space has nothing new, or another process has
        taken the study over."""
        self._check()
        if not self._waiting:
            self._propose()
        return self._candidate(self._storage.trial(self._waiting.pop(0)))

    def _propose(self) -> None:
        """The next round, whole."""
        trials = self._storage.trials()
        number = trials[-1].round + 1 if trials else 0
        size = self._plan.size(number, len(trials))
        proposals = self.strategy.propose(self._storage.history(), number, size)
        if not proposals:
            raise UserError("the space has nothing new to propose")
        for slot, each in enumerate(proposals):
            place = len(trials) + slot
            text = each.genome.text(self.sizes, f"candidate-{place}")
            trial = Trial(
                place, number, slot, text, each.origin, each.parents, each.edits, each.probabilities,
                each.redraws, each.rejected,
            )  # fmt: skip
            self._storage.add(trial, self._features)
            self._waiting.append(place)

    def tell(self, candidate: Candidate | int, score: float | Sequence[float] | None, reason: str = "") -> None:
        """A candidate's score, higher better, one for each objective; None for a candidate that failed.

        A score that is not finite is a failure, too. Raises `UserError` for a candidate that was told already, or
        for another number of objectives.
        """
        self._check()
        try:
            number = candidate.number if isinstance(candidate, Candidate) else index(candidate)
        except TypeError:
            raise UserError(f"tell takes a candidate or its number, not {candidate!r}") from None
        if number not in [trial.number for trial in self._storage.trials()]:
            raise UserError(f"there is no candidate {number}")
        if isinstance(candidate, Candidate) and candidate.genome != self._storage.genome(self._storage.trial(number)):
            raise UserError(f"this is the candidate {number} of another study")
        if self._storage.trial(number).state != "running":
            raise UserError(f"candidate {number} has its score already")
        result = self._result(number, score, reason)
        self._storage.set_result(number, Evaluation(self._storage.trial(number).round, number, result, 0.0, now()))
        self._storage.finish(number)
        if number in self._waiting:
            self._waiting.remove(number)

    def _result(self, number: int, score: float | Sequence[float] | None, reason: str) -> CandidateResult:
        if score is None:
            return CandidateResult(number, "failed", reason or "no score")
        try:
            values = tuple(float(value) for value in np.atleast_1d(np.asarray(score, dtype=float)))
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"a score is a number, one for each objective, not {score!r}: {error}") from None
        if len(values) != len(self.objectives):
            raise UserError(f"the study has {len(self.objectives)} objectives, and was told {len(values)}")
        if not all(math.isfinite(value) for value in values):
            return CandidateResult(number, "failed", reason or f"a score is not finite: {values}")
        return CandidateResult(number, "complete", values=values)

    @property
    def best(self) -> Candidate:
        """The best candidate so far. Raises `UserError` where none has a score."""
        found = best(current_values(self._storage.history()), 1)
        if not found:
            raise UserError("no candidate has a score yet")
        return self._candidate(self._storage.trial(found[0].number))

    @property
    def candidates(self) -> list[Candidate]:
        """All of them, by number."""
        return [self._candidate(trial) for trial in self._storage.trials()]

    def _candidate(self, trial: Trial) -> Candidate:
        return Candidate(trial.number, self._storage.genome(trial), self.sizes, trial.values)

    def _check(self) -> None:
        if self._closed:
            raise UserError("the study was closed: open it again")
        self._lock.check()

    def close(self) -> None:
        """Let another process drive the study."""
        self._closed = True
        self._resources.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _names(objectives: Sequence[str]) -> tuple[str, ...]:
    """The names of objectives. Raises `UserError` where they are none."""
    names = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"objectives are names, one at least and each once, not {objectives!r}")
    return names


def _url(storage: str | Path | None) -> str:
    if storage is None:
        return ":memory:"
    text = str(storage)
    return text if "://" in text or text == ":memory:" else f"sqlite:///{Path(text).resolve()}"
