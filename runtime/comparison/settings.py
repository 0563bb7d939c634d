"""What is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autobertc.dsl.architecture import Architecture, safe_name
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.tasks.base import Task
from autobertc.runtime.training.finetuning import Finetuning
from autobertc.runtime.training.preparation import Pretraining, check_settings, devices
from autobertc.runtime.training.recipes import Recipe, TrainingError

GRID = (0.5, 1.0, 2.0)
"""The learning rates that are tried, as parts of the recipe's, where the user names none."""


@dataclass(frozen=True)
class Contestant:
    """A backbone by a name of its own, and the text it was read from."""

    name: str
    architecture: Architecture
    source: str


def contestants(found: Sequence[tuple[str, Architecture, str]]) -> tuple[Contestant, ...]:
    """Backbones by the names in their files, their files' where two have one name, with numbers where that is not
    enough; of each the file's name, the architecture and the text."""
    names = [safe_name(architecture.name) for _, architecture, _ in found]
    if len(set(names)) < len(names):
        names = [safe_name(stem) for stem, _, _ in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            names[number] = f"{name}-{names[:number].count(name) + 1}"
    return tuple(Contestant(name, each[1], each[2]) for name, each in zip(names, found, strict=True))


@dataclass(frozen=True)
class Comparison:
    """Everything that the runs have in common, and what they differ in.

    Attributes:
        contestants: the first is the one that the others are compared with.
        recipe: of all runs, but for the learning rate.
        learning_rates: tried for each contestant; the best on what is held out is its own.
        seeds: of weights, data and dropout; every contestant has a run with each.
        grid_seeds: with how many of the seeds all learning rates are tried.
        sources, tokenizer, vocab, held_out, micro_batch, log_every, save_every, workers: as `Pretraining` has them.
        tasks: that the trained models are fine-tuned on, and `finetuning` how.
        keep_models: whether the models of the chosen learning rates are kept.
    """

    contestants: tuple[Contestant, ...]
    recipe: Recipe
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    grid_seeds: int = 1
    sources: tuple[TextSource, ...] = (TextSource("default"),)
    tokenizer: Path | None = None
    vocab: int | None = None
    held_out: float = 0.05
    micro_batch: int | None = None
    log_every: int | None = None
    save_every: int | None = None
    workers: int | None = None
    tasks: tuple[Task, ...] = ()
    finetuning: Finetuning = field(default_factory=Finetuning)
    keep_models: bool = False

    def check(self) -> None:
        """Raise `UserError` for what cannot be, before data is looked at."""
        if len(self.contestants) < 2:
            raise TrainingError("a comparison takes two backbones at least")
        if devices() > 1:
            raise TrainingError("a comparison runs in one process: start it without torchrun")
        if not self.held_out:
            raise TrainingError("a comparison needs documents that are held out: learning rates are chosen on them")
        if not self.learning_rates or len(set(self.learning_rates)) < len(self.learning_rates):
            raise TrainingError("give learning rates, each once")
        if not 1 <= self.grid_seeds <= len(self.seeds):
            raise TrainingError(
                f"learning rates are tried with 1 to {len(self.seeds)} of the seeds, not with {self.grid_seeds}"
            )
        for contestant in self.contestants:
            for rate in self.learning_rates:
                try:
                    check_settings(self.run(contestant, rate, self.seeds[0], self.tokenizer))
                except TrainingError as error:
                    raise TrainingError(f"{contestant.name}: {error}") from error

    def run(self, contestant: Contestant, rate: float, seed: int, tokenizer: Path | None) -> Pretraining:
        """A run of one contestant."""
        return Pretraining(
            architecture=contestant.architecture,
            source=contestant.source,
            recipe=replace(self.recipe, learning_rate=rate),
            sources=self.sources,
            tokenizer=tokenizer,
            held_out=self.held_out,
            seed=seed,
            micro_batch=self.micro_batch,
            log_every=self.log_every,
            save_every=self.save_every,
            workers=self.workers,
        )
