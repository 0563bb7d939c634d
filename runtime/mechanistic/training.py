"""Training on mechanistic tasks, and what is learnt of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from autobertc.runtime.mechanistic.tasks import IGNORED, SYMBOLS, TASKS, mechanistic_batch, mixed_batch
from autobertc.runtime.training.short_runs import Batch, ShortRun, train_steps

SCORED_BY = -1
"""The seed of the batches that models are scored on: the same for all, and no training's."""


@dataclass(frozen=True)
class Mechanistic:
    """Which tasks, and how large.

    Attributes:
        tasks: of `TASKS`; a batch has an equal share of each.
        batch: rows of a step.
        length: tokens of a row.
        symbols: see `mechanistic_batch`; the vocabulary needs `tasks.vocabulary(symbols)` entries.
        scored_rows: of each task, for a score.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    batch: int = 32
    length: int = 32
    symbols: int = SYMBOLS
    scored_rows: int = 128

    def batch_of(self, seed: int, step: int) -> Batch:
        """The training batch of a step."""
        return mixed_batch(self.tasks, seed, step, self.batch, self.length, self.symbols)


@torch.no_grad()
def accuracies(model: nn.Module, problem: Mechanistic, rows: int | None = None) -> dict[str, float]:
    """The share of masked positions that a masked-LM model answers rightly, by task.

    `rows` of each task, by default all that the problem scores. Never NaN: where logits are no numbers the answer is
    wrong, or right by chance.
    """
    was, device = model.training, next(model.parameters()).device
    model.eval()
    found = {}
    for task in problem.tasks:
        made = mechanistic_batch(task, SCORED_BY, 0, rows or problem.scored_rows, problem.length, problem.symbols)
        batch = {name: value.to(device) for name, value in made.items()}
        labels = batch.pop("labels")
        asked = labels != IGNORED
        answers = model(**batch).logits[asked].argmax(-1)
        found[task] = float((answers == labels[asked]).float().mean())
    model.train(was)
    return found


def train_and_score(model: nn.Module, problem: Mechanistic, run: ShortRun, seed: int = 0) -> dict[str, float]:
    """Train a masked-LM model on the tasks together, and return the accuracy of each and their mean, "mean".

    The model's vocabulary must hold the tasks' symbols, and its positions the rows. Raises `NotFinite`.
    """
    device = next(model.parameters()).device
    train_steps(model, lambda step: {k: v.to(device) for k, v in problem.batch_of(seed, step).items()}, run)
    found = accuracies(model, problem)
    return {**found, "mean": mean(list(found.values()))}


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
