"""A training of a few steps, in the process, without checkpoints: what a search does by the hundred."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autobertc.runtime.training.recipes import TrainingError

Batch = dict[str, Tensor]


class NotFinite(TrainingError):
    """A loss or a gradient that is no number."""


@dataclass(frozen=True)
class ShortRun:
    """How it goes: AdamW, the learning rate up in a straight line over the warm-up and down to 0 at the end.

    Attributes:
        steps: how many.
        learning_rate: the greatest.
        warmup: the share of steps in which it grows.
        weight_decay: of what has two dimensions or more.
        betas, epsilon, max_grad_norm: of AdamW, and of clipping.
    """

    steps: int
    learning_rate: float
    warmup: float = 0.1
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    max_grad_norm: float = 1.0

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        growing = max(1, round(self.warmup * self.steps))
        up, down = (step + 1) / growing, (self.steps - step) / max(1, self.steps - growing)
        return self.learning_rate * min(1.0, up, down)


def train_steps(
    model: nn.Module,
    batches: Callable[[int], Batch],
    run: ShortRun,
    *,
    undecayed: Iterable[nn.Parameter] = (),
    decay: Callable[[float], None] | None = None,
    after: Callable[[int], bool] | None = None,
) -> list[float]:
    """Train a model that gives a `loss`, and return the losses.

    Args:
        batches: the batch of a step, by its number from 0.
        undecayed: parameters without weight decay, beside those of one dimension.
        decay: called before each update with the learning rate times the weight decay, for decay of the caller's own.
        after: called with the number of steps made; true ends the training.

    Raises `NotFinite`, with the step, before the weights would change.
    """
    apart = set(undecayed)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1 and parameter not in apart]
    rest = [parameter for parameter in parameters if parameter.ndim <= 1 or parameter in apart]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": run.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=run.learning_rate, betas=run.betas, eps=run.epsilon, fused=True)
    losses = []
    model.train()
    for step in range(run.steps):
        loss = model(**batches(step)).loss
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise NotFinite(f"the loss is not a finite number in step {step + 1}")
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, run.max_grad_norm, foreach=True)
        if not bool(torch.isfinite(norm)):
            raise NotFinite(f"the gradient is not a finite number in step {step + 1}")
        rate = run.rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if decay is not None:
            decay(rate * run.weight_decay)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if after is not None and after(step + 1):
            break
    return losses
