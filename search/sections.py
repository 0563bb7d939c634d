"""The tables of a search's configuration that are its own: what each settles, and what values may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autobertc.dsl.architecture import Sizes
from autobertc.search.strategies.registry import combination


@dataclass(frozen=True)
class Model:
    """The sizes that candidates are built at; the header of their files."""

    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    vocab: int = 30522
    max_length: int = 512
    embedding: int | None = None
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "intermediate", "vocab", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.embedding is not None and self.embedding < 1:
            raise ValueError(f"embedding is at least 1, not {self.embedding}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden is a multiple of heads: {self.hidden} is none of {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is from 0 to below 1, not {self.dropout}")

    @property
    def sizes(self) -> Sizes:
        """As a header has them."""
        rate = self.dropout
        return Sizes(
            self.hidden,
            self.heads,
            self.intermediate,
            self.vocab,
            self.max_length,
            self.embedding,
            hidden_dropout=rate,
            attention_dropout=rate,
            kernel_dropout=rate,
        )


@dataclass(frozen=True)
class StrategySection:
    """How the search proposes.

    Attributes:
        name: of `strategies.registry`.
        population: random candidates before the first children, in `initial_rounds` rounds.
        parents, children: the best K have so many children each, a round.
        redraws: duplicates drawn before a random candidate stands in.
        both: an inter-layer edit in every child.
        crossover: the part of children that mix two parents' layers.
        named: architectures to start from, by name or as files.
        alive, tournament: of aging evolution.
        alpha, tau, contrast, shrinkage: of operation priority, in the place of the preset's.
    """

    name: str = "op-nas"
    population: int = 100
    initial_rounds: int = 4
    parents: int = 5
    children: int = 5
    redraws: int = 50
    both: bool = False
    crossover: float = 0.0
    named: tuple[str, ...] = ()
    alive: int = 100
    tournament: int = 25
    alpha: float | None = None
    tau: float | None = None
    contrast: float | None = None
    shrinkage: float | None = None

    def __post_init__(self) -> None:
        combination(self.name)
        for name in ("population", "initial_rounds", "parents", "children", "alive", "tournament"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.redraws < 0:
            raise ValueError(f"redraws is at least 0, not {self.redraws}")
        for name in ("alpha", "shrinkage"):
            if (getattr(self, name) or 0.0) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.tau is not None and self.tau <= 0:
            raise ValueError(f"tau is above 0, not {self.tau}")
        if self.contrast is not None and self.contrast <= 1:
            raise ValueError(f"contrast is above 1, not {self.contrast}")
        if not 0 <= self.crossover <= 1:
            raise ValueError(f"crossover is from 0 to 1, not {self.crossover}")
        if self.initial_rounds > self.population:
            raise ValueError(f"initial_rounds is at most the population, {self.population}")


@dataclass(frozen=True)
class SupernetSection:
    """Weight sharing.

    Attributes:
        sharing: whether candidates start from shared weights; by default as the strategy has it.
        feed_forward, norms: whether they belong to the layer or to the branch.
        write_back: each tensor from the best child that used it, or the mean of all that did.
    """

    sharing: bool | None = None
    feed_forward: Literal["layer", "branch"] = "layer"
    norms: Literal["layer", "branch"] = "layer"
    write_back: Literal["best", "mean"] = "best"


@dataclass(frozen=True)
class StudySection:
    """The study.

    Attributes:
        name: within its storage.
        storage: an Optuna storage's URL; empty is a SQLite file in the run's folder.
        seed: of everything random.
        trials: the budget of candidates.
        hours: of wall-clock time, after which no round begins; 0 is without end.
        patience: rounds without a change among the best K after which it ends; 0 is never.
        anchor: what every round scores beside its candidates, a named architecture or a file.
    """

    name: str = "search"
    storage: str = ""
    seed: int = 0
    trials: int = 760
    hours: float = 0.0
    patience: int = 0
    anchor: str = "bert"

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials is at least 1, not {self.trials}")
        for name in ("hours", "patience", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class GateSection:
    """The signal gate before the search: architectures by seeds."""

    enabled: bool = True
    architectures: int = 4
    seeds: int = 3

    def __post_init__(self) -> None:
        if self.architectures < 3:
            raise ValueError(f"architectures is at least 3, not {self.architectures}")
        if self.seeds < 2:
            raise ValueError(f"seeds is at least 2, not {self.seeds}")


@dataclass(frozen=True)
class LastStageSection:
    """Training from scratch at the end.

    Attributes:
        top: how many of the best; 0 leaves the last stage out.
        seeds: of each.
        steps: of BERT, whose FLOPs all have; 0 is as many as the evaluation's.
        random: whether the best random candidate, and that at the median of the random ones, take part.
        named: which named architectures do.
    """

    top: int = 5
    seeds: int = 3
    steps: int = 0
    random: bool = True
    named: tuple[str, ...] = ("bert",)

    def __post_init__(self) -> None:
        for name in ("top", "steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.seeds < 1:
            raise ValueError(f"seeds is at least 1, not {self.seeds}")


@dataclass(frozen=True)
class WorkersSection:
    """What evaluates candidates.

    Attributes:
        kind: where.
        count: how many at a time; 0 on Ray: as many as the cluster has room for.
        threads: of each worker. The bits of a matmul depend on it.
        limit: seconds that a candidate may take; 0 is without end.
        address: of a Ray cluster, "ray://host:port" or "auto"; empty starts one here.
        gpus: of a candidate on Ray; a fraction shares one.
        retries: of a candidate whose Ray worker or node is lost.
    """

    kind: Literal["in-process", "processes", "ray"] = "processes"
    count: int = 1
    threads: int = 1
    limit: float = 0.0
    address: str = ""
    gpus: float = 0.0
    retries: int = 2

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, not {self.threads}")
        for name in ("count", "limit", "gpus", "retries"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")
